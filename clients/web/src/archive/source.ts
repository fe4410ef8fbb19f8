/**
 * One view in one media element: a lesson that is over by `closed/`; hls.js for one that is live, and for
 * what `closed/` does not know; native HLS where there is no MSE; or a plain WebM.
 */
import type HlsClass from 'hls.js'
import type { ErrorData, Events } from 'hls.js'
import type { View } from '../lib/api'
import { ClosedLesson } from './closed/lesson'
import { CONFIG } from './settings'

/** A loaded view. */
export interface Loaded {
  /** The newest moment that plays smoothly, in seconds. */
  edge(): number
  /** Wall-clock time (ms) of this source's zero, when its playlist tells it. */
  epoch(): number | undefined
  destroy(): void
}

/** Why a view does not play: no answer, no permission, not there, or not for this browser. */
export type Trouble = 'network' | 'denied' | 'gone' | 'codec'

export interface LoadOptions {
  /** Start here (s); undefined: the live edge of a live lesson, the beginning otherwise. */
  at: number | undefined
  /** The lesson is over: its playlists do not grow any more. */
  closed: boolean
  /** No retry of ours has helped so far. */
  onTrouble(trouble: Trouble): void
  /** A later one has. */
  onMended(): void
  /** The node no longer knows us; resolves when it does again. */
  renew(): Promise<void>
}

/** Pauses between tries when the node is away: short at first, then patient. */
const RETRY_MS = [500, 1000, 2000, 4000, 8000]
/** As late as this after loading is live enough, and so much must be there to play on (s). */
const BEHIND_S = 0.5
/** For so long after the start (s) it is looked whether one is later than that. */
const CLOSE_IN_S = 5
/** Without hls.js, this much of the end of a live lesson does not play smoothly (s). */
const UNSAFE_S = 3

/** The code that plays what grows, fetched once. */
function prepare(): Promise<typeof import('hls.js')> {
  return import('hls.js')
}

export async function load(
  element: HTMLMediaElement,
  view: View,
  options: LoadOptions,
): Promise<Loaded> {
  const { hls } = view
  if (!hls) return plain(element, view.webm ?? '', options)
  if (!options.closed || !ClosedLesson.isPossible()) return throughHls(element, hls, options)
  return new ClosedLesson(element, hls, options, (at) =>
    throughHls(element, hls, { ...options, at }),
  )
}

async function throughHls(
  element: HTMLMediaElement,
  url: string,
  options: LoadOptions,
): Promise<Loaded> {
  const { default: Hls } = await prepare()
  if (Hls.isSupported()) return throughMse(Hls, element, url, options)
  return plain(element, url, options)
}

function plain(element: HTMLMediaElement, url: string, { at, onTrouble }: LoadOptions): Loaded {
  const { signal, abort } = watch()
  element.addEventListener('error', () => onTrouble(plainTrouble(element.error)), { signal })
  const begin = () => {
    if (at !== undefined) element.currentTime = at
  }
  element.addEventListener('loadedmetadata', begin, { signal, once: true })
  element.src = url
  return {
    edge: () => Math.max(0, lastSeekable(element) - UNSAFE_S),
    epoch: () => undefined,
    destroy: () => {
      abort()
      element.removeAttribute('src')
      element.load()
    },
  }
}

function throughMse(
  Hls: typeof HlsClass,
  element: HTMLMediaElement,
  url: string,
  options: LoadOptions,
): Loaded {
  const hls = new Hls({ ...CONFIG, startPosition: options.at ?? -1 })
  hls.on(Hls.Events.ERROR, healer(hls, Hls, element, options))
  if (options.at === undefined) closeIn(hls, Hls, element)
  hls.loadSource(url)
  hls.attachMedia(element)
  return {
    edge: () => hls.liveSyncPosition ?? Math.max(0, lastSeekable(element) - UNSAFE_S),
    epoch: () => epochOf(hls),
    destroy: () => hls.destroy(),
  }
}

/**
 * Loading takes its time, and a live lesson goes on meanwhile: soon after it plays, goes as near to its
 * end as the playlist and what is loaded allow. Once: a jump later on would be heard. Who jumps
 * elsewhere in the meantime stays there.
 */
function closeIn(hls: HlsClass, Hls: typeof HlsClass, element: HTMLMediaElement): void {
  let began: number | undefined
  const stop = () => {
    element.removeEventListener('timeupdate', look)
    element.removeEventListener('seeking', stop)
  }
  const look = () => {
    const { buffered, currentTime, seeking } = element
    if (seeking) return
    if (began === undefined) {
      began = currentTime
      element.addEventListener('seeking', stop)
    }
    const live = hls.latestLevelDetails?.live && buffered.length > 0
    const end = live ? buffered.end(buffered.length - 1) - BEHIND_S : 0
    const to = Math.min(hls.liveSyncPosition ?? 0, end)
    if (to - currentTime > BEHIND_S) element.currentTime = to
    else if (currentTime - began > CLOSE_IN_S) stop()
  }
  element.addEventListener('timeupdate', look)
  hls.on(Hls.Events.DESTROYING, stop)
}

/** hls.js mends small errors itself; fatal ones are retried here, unless no retry can help. */
function healer(
  hls: HlsClass,
  Hls: typeof HlsClass,
  element: HTMLMediaElement,
  { onTrouble, renew }: LoadOptions,
) {
  let tries = 0
  let gone = false
  hls.on(Hls.Events.FRAG_BUFFERED, () => {
    tries = 0
  })
  hls.on(Hls.Events.DESTROYING, () => {
    gone = true
  })
  const again = (details: string) => {
    if (gone) return
    if (details.startsWith('manifest') && hls.url) hls.loadSource(hls.url)
    else hls.startLoad()
  }
  return async (_: Events.ERROR, { fatal, type, details, response }: ErrorData) => {
    if (!fatal) return
    const trouble = troubleOf(type, details, response?.code)
    const pause = RETRY_MS[tries++]
    const media = type === Hls.ErrorTypes.MEDIA_ERROR
    const hopeless = details === Hls.ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR
    if (hopeless || pause === undefined || (trouble === 'codec' && !media)) onTrouble(trouble)
    else if (media) {
      const playing = !element.paused
      hls.recoverMediaError()
      // The element was emptied, which stops it.
      if (playing) void element.play().catch(() => {})
    } else {
      if (trouble === 'denied') await renew().catch(() => {})
      setTimeout(() => again(details), pause)
    }
  }
}

/** What an error of hls.js means to a viewer, by its type, details and the HTTP status. Pure. */
export function troubleOf(type: string, details: string, status: number | undefined): Trouble {
  if (status === 401 || status === 403) return 'denied'
  if (status === 404 || status === 410) return 'gone'
  if (type === 'networkError' && !details.includes('Parsing')) return 'network'
  return 'codec'
}

/** What a media element's own error means (HTML, MediaError). Pure. */
export function plainTrouble(error: Pick<MediaError, 'code'> | null): Trouble {
  return error?.code === 2 ? 'network' : 'codec'
}

function epochOf(hls: HlsClass): number | undefined {
  const details = hls.latestLevelDetails ?? hls.levels[hls.currentLevel]?.details
  const dated = details?.fragments.find((fragment) => fragment.programDateTime !== null)
  return dated?.programDateTime ? dated.programDateTime - dated.start * 1000 : undefined
}

export function lastSeekable({ seekable }: Pick<HTMLMediaElement, 'seekable'>): number {
  return seekable.length > 0 ? seekable.end(seekable.length - 1) : 0
}

function watch(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController()
  return { signal: controller.signal, abort: () => controller.abort() }
}
