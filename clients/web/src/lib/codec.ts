/** The codec of the teacher's pictures. Pure. */
import type { VideoCodec } from 'livekit-client'

export type CodecName = 'H264' | 'VP8' | 'VP9' | 'AV1'

const NAMES: Readonly<Record<CodecName, VideoCodec>> = {
  H264: 'h264',
  VP8: 'vp8',
  VP9: 'vp9',
  AV1: 'av1',
}

/** The codec asked for in the page's address (`?codec=vp8`), or undefined. */
export function askedCodec(search: string): CodecName | undefined {
  const asked = new URLSearchParams(search).get('codec')?.toUpperCase()
  return (Object.keys(NAMES) as CodecName[]).find((name) => name === asked)
}

/**
 * What to publish in, by the formats that this browser sends. H264 comes first: every classroom's
 * machine plays it, and HLS carries it. Undefined where the browser lacks the one asked for.
 */
export function publishCodec(
  formats: readonly { mimeType: string }[],
  asked: CodecName | undefined,
): VideoCodec | undefined {
  const has = (name: CodecName) =>
    formats.some(({ mimeType }) => mimeType.toLowerCase() === `video/${NAMES[name]}`)
  const found = asked ? has(asked) && asked : (['H264', 'VP8'] as const).find(has)
  return found ? NAMES[found] : undefined
}
