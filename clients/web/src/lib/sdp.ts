/** The few things the pages say in SDP beyond what browsers do by themselves. Pure. */

/** The part of a codec capability that choices are made by. */
export interface Codec {
  mimeType: string
  sdpFmtpLine?: string
}

export type CodecName = 'H264' | 'VP8' | 'VP9' | 'AV1'

const NAMES: readonly CodecName[] = ['H264', 'VP8', 'VP9', 'AV1']

/** The codec asked for in the page's address (`?codec=vp8`), or undefined. */
export function askedCodec(search: string): CodecName | undefined {
  const asked = new URLSearchParams(search).get('codec')?.toUpperCase()
  return NAMES.find((name) => name === asked)
}

/**
 * Codecs in the order to offer: H264 constrained baseline first, which every classroom machine
 * plays and HLS carries; with `only`, nothing but that codec and what repairs it.
 * Empty when the browser lacks the one asked for.
 */
export function offerOrder<T extends Codec>(codecs: readonly T[], only?: CodecName): T[] {
  if (!only) return [...codecs].sort((a, b) => rank(a) - rank(b))
  const wanted = codecs.filter((codec) => name(codec) === only.toLowerCase())
  if (wanted.length === 0) return []
  const best = wanted.sort((a, b) => rank(a) - rank(b))
  return [...best, ...codecs.filter(isRepair)]
}

/** Marks the section of this mid as slides: `a=content:slides` (RFC 4796, section 5). */
export function markSlides(sdp: string, mid: string): string {
  const sections = sdp.split(/(?=^m=)/m)
  return sections.map((section) => (hasMid(section, mid) ? withSlides(section) : section)).join('')
}

/** Whether the answer turned this section down (port 0, or inactive). Firefox bundles at port 0. */
export function isRefused(sdp: string, mid: string): boolean {
  const section = sdp.split(/(?=^m=)/m).find((part) => hasMid(part, mid))
  if (!section) return true
  return (
    /^a=inactive\r?$/m.test(section) ||
    (/^m=\w+ 0 /.test(section) && !/^a=bundle-only/m.test(section))
  )
}

/**
 * Tells Chromium's sender where to begin (kbit/s): its own 300 makes the first seconds a 180-line
 * blur, and it climbs a step in several seconds. The estimate takes over with the first feedback.
 */
export function startAt(answer: string, kbps: number): string {
  const sections = answer.split(/(?=^m=)/m)
  const hint = `x-google-start-bitrate=${kbps}`
  return sections.map((part) => (part.startsWith('m=video') ? withHint(part, hint) : part)).join('')
}

function withHint(section: string, hint: string): string {
  const payload = /^m=video \d+ \S+ (\d+)/.exec(section)?.[1]
  const fmtp = new RegExp(`^(a=fmtp:${payload} [^\\r\\n]*)`, 'm')
  if (fmtp.test(section)) return section.replace(fmtp, `$1;${hint}`)
  return section.replace(/^(a=rtpmap:[^\r\n]*)/m, `$1\r\na=fmtp:${payload} ${hint}`)
}

function hasMid(section: string, mid: string): boolean {
  return section.startsWith('m=') && section.split(/\r?\n/).includes(`a=mid:${mid}`)
}

function withSlides(section: string): string {
  if (/^a=content:/m.test(section)) return section
  return section.replace(/^(a=mid:.*)$/m, '$1\r\na=content:slides')
}

function name(codec: Codec): string {
  return codec.mimeType.toLowerCase().replace('video/', '')
}

function isRepair(codec: Codec): boolean {
  return ['rtx', 'red', 'ulpfec', 'flexfec-03'].includes(name(codec))
}

/** Lower is offered earlier; equals keep the browser's order. */
function rank(codec: Codec): number {
  const fmtp = codec.sdpFmtpLine ?? ''
  if (name(codec) !== 'h264') return 3
  if (!/packetization-mode=1/.test(fmtp)) return 2
  return /profile-level-id=42e0/i.test(fmtp) ? 0 : 1
}
