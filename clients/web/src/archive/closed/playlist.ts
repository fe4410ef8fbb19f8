/**
 * The HLS (RFC 8216) of a lesson that is over, as the recorder writes it: one quality, a file for each
 * segment, one clock from 0 on. Pure. What is otherwise is not read: hls.js plays all the rest.
 */

/** A sequence of segments that one decoder plays. */
export interface Rendition {
  url: string
  /** As `MediaSource.isTypeSupported` wants it. */
  type: string
}

/** Times in seconds of the lesson; `init` is what its decoder needs first. */
export interface Segment {
  url: string
  init: string
  start: number
  end: number
}

export interface Media {
  segments: Segment[]
  /** Seconds. */
  duration: number
  /** Wall-clock time (ms) of its zero, when it tells it. */
  epoch: number | undefined
}

/** Ten days of segments of two seconds. */
const MOST = 432_000
const PICTURES = /^(?:avc[13]|vp09|av01|hvc1|hev1)\./
const ATTRIBUTE = /([A-Z0-9-]+)=(?:"([^"]*)"|([^,]*))/g
/** Names only: with nothing that would have to be resolved. */
const NAME = /^[\w-][\w.-]*$/
const PATH = /^(?:[\w-][\w.-]*\/)*[\w-][\w.-]*$/
const IGNORED = new Set([
  '#EXTM3U',
  '#EXT-X-VERSION',
  '#EXT-X-TARGETDURATION',
  '#EXT-X-PLAYLIST-TYPE',
  '#EXT-X-INDEPENDENT-SEGMENTS',
  // In the minute after the bell it is still told how it came; the segments are whole by then.
  '#EXT-X-SERVER-CONTROL',
  '#EXT-X-PART-INF',
  '#EXT-X-PART',
  '#EXT-X-RENDITION-REPORT',
])

/** What a master playlist names: the pictures if any, then the sound if any. */
export function renditions(text: string, base: string): Rendition[] | undefined {
  const lines = linesOf(text)
  const sounds = lines.filter((line) => line.startsWith('#EXT-X-MEDIA:')).map(attributes)
  const variants: Attributes[] = lines.flatMap((line, at) =>
    line.startsWith('#EXT-X-STREAM-INF:')
      ? [{ ...attributes(line), URI: lines[at + 1] ?? '' }]
      : [],
  )
  const seen = variants.filter((variant) => 'RESOLUTION' in variant)
  const [chosen] = seen.length > 0 ? seen : variants
  if (!chosen || seen.length > 1 || sounds.length > 1 || variants.length > 2) return undefined
  const codecs = chosen.CODECS?.split(',') ?? []
  const [picture, other] = codecs.filter((codec) => PICTURES.test(codec))
  const [sound, more] = codecs.filter((codec) => !PICTURES.test(codec))
  if (other || more || !!picture !== seen.length > 0) return undefined
  const apart = picture === undefined ? chosen.URI : sounds[0]?.URI
  const all = [
    ...(picture ? [rendition(chosen.URI, base, `video/mp4;codecs="${picture}"`)] : []),
    ...(sound ? [rendition(apart, base, `audio/mp4;codecs="${sound}"`)] : []),
  ]
  const known = all.filter((one) => one !== undefined)
  return known.length === all.length && all.length > 0 ? known : undefined
}

/** A media playlist that has come to its end; undefined for any other. */
export function media(text: string, base: string): Media | undefined {
  const folder = base.slice(0, base.lastIndexOf('/') + 1)
  const segments: Segment[] = []
  let [init, start, length] = ['', 0, Number.NaN]
  let epoch: number | undefined
  let ended = false
  for (const line of linesOf(text)) {
    if (!line.startsWith('#EXT')) {
      if (line.startsWith('#')) continue
      if (!init || !(length > 0) || !NAME.test(line) || segments.length >= MOST) return undefined
      segments.push({ url: folder + line, init, start, end: start + length })
      start += length
      length = Number.NaN
      continue
    }
    const colon = line.indexOf(':')
    const [tag, value] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1)]
    if (tag === '#EXTINF') length = Number.parseFloat(value)
    else if (tag === '#EXT-X-MAP') {
      const map = attributes(line)
      if (!NAME.test(map.URI ?? '') || 'BYTERANGE' in map) return undefined
      init = folder + map.URI
    } else if (tag === '#EXT-X-PROGRAM-DATE-TIME') epoch ??= Date.parse(value) - start * 1000
    else if (tag === '#EXT-X-ENDLIST') ended = true
    else if (tag === '#EXT-X-MEDIA-SEQUENCE' ? value !== '0' : !IGNORED.has(tag)) return undefined
  }
  if (!ended || segments.length === 0) return undefined
  return { segments, duration: start, epoch: Number.isFinite(epoch) ? epoch : undefined }
}

function rendition(uri: string | undefined, base: string, type: string): Rendition | undefined {
  if (!uri || !PATH.test(uri)) return undefined
  return { url: base.slice(0, base.lastIndexOf('/') + 1) + uri, type }
}

function linesOf(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line !== '')
}

type Attributes = Partial<Record<string, string>>

function attributes(line: string): Attributes {
  const found = line.slice(line.indexOf(':') + 1).matchAll(ATTRIBUTE)
  return Object.fromEntries(Array.from(found, ([, name, quoted, bare]) => [name, quoted ?? bare]))
}
