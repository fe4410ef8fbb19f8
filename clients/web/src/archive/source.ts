/** One picture in one <video>: hls.js where there is MSE, native HLS on Safari, or a plain WebM. */
import type HlsClass from 'hls.js'
import type { ErrorData, Events, HlsConfig } from 'hls.js'
import type { View } from '../lib/api'

/** A loaded picture. */
export interface Loaded {
  /** The newest moment that plays smoothly, in seconds. */
  edge(): number
  /** Wall-clock time (ms) of this source's zero, when its playlist tells it. */
  epoch(): number | undefined
  destroy(): void
}

export interface LoadOptions {
  /** Start here (s); undefined: the live edge of a live lesson, the beginning otherwise. */
  at: number | undefined
  onFatal(): void
}

/** Pauses between tries when the node is away: short at first, then patient. */
const RETRY_MS = [500, 1000, 2000, 4000, 8000]

export async function load(
  video: HTMLVideoElement,
  view: View,
  options: LoadOptions,
): Promise<Loaded> {
  if (!view.hls) return plain(video, view.webm ?? '', options)
  const { default: Hls } = await import('hls.js')
  if (Hls.isSupported()) return throughMse(Hls, video, view.hls, options)
  return plain(video, view.hls, options)
}

function plain(video: HTMLVideoElement, url: string, { at, onFatal }: LoadOptions): Loaded {
  const watch = new AbortController()
  video.addEventListener('error', onFatal, { signal: watch.signal })
  video.addEventListener('loadedmetadata', () => at !== undefined && seekTo(video, at), {
    signal: watch.signal,
    once: true,
  })
  video.src = url
  return {
    edge: () => Math.max(0, lastSeekable(video) - 3),
    epoch: () => undefined,
    destroy: () => {
      watch.abort()
      video.removeAttribute('src')
      video.load()
    },
  }
}

function throughMse(
  Hls: typeof HlsClass,
  video: HTMLVideoElement,
  url: string,
  { at, onFatal }: LoadOptions,
): Loaded {
  // 90 s behind the playhead stay in memory: enough to say "once more", little enough for a phone.
  // A segment is a group of pictures, up to 6 s: one and a half from the end is live and does not stall.
  const config: Partial<HlsConfig> = {
    backBufferLength: 90,
    liveSyncDurationCount: 1.5,
    startPosition: at ?? -1,
  }
  const hls = new Hls(config)
  const heal = healer(hls, Hls, onFatal)
  hls.on(Hls.Events.ERROR, heal)
  hls.loadSource(url)
  hls.attachMedia(video)
  return {
    edge: () => hls.liveSyncPosition ?? Math.max(0, lastSeekable(video) - 3),
    epoch: () => epochOf(hls),
    destroy: () => hls.destroy(),
  }
}

/** hls.js mends small errors itself; fatal ones are retried here, unless no retry can help. */
function healer(hls: HlsClass, Hls: typeof HlsClass, onFatal: () => void) {
  let tries = 0
  let gone = false
  hls.on(Hls.Events.FRAG_BUFFERED, () => {
    tries = 0
  })
  hls.on(Hls.Events.DESTROYING, () => {
    gone = true
  })
  return (_: Events.ERROR, { fatal, type, details }: ErrorData) => {
    if (!fatal) return
    const pause = RETRY_MS[tries++]
    const hopeless = details === Hls.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR
    if (hopeless || pause === undefined) return onFatal()
    if (type === Hls.ErrorTypes.MEDIA_ERROR) return hls.recoverMediaError()
    const again = () =>
      details.startsWith('manifest') && hls.url ? hls.loadSource(hls.url) : hls.startLoad()
    setTimeout(() => gone || again(), pause)
  }
}

function epochOf(hls: HlsClass): number | undefined {
  const details = hls.latestLevelDetails ?? hls.levels[hls.currentLevel]?.details
  const dated = details?.fragments.find((fragment) => fragment.programDateTime !== null)
  return dated?.programDateTime ? dated.programDateTime - dated.start * 1000 : undefined
}

function lastSeekable(video: HTMLVideoElement): number {
  return video.seekable.length > 0 ? video.seekable.end(video.seekable.length - 1) : 0
}

function seekTo(video: HTMLVideoElement, at: number): void {
  video.currentTime = at
}
