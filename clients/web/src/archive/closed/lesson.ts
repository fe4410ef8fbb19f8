/**
 * A lesson that is over, played by Media Source Extensions alone: its bytes are poured into the browser as
 * they come, what a picture waits for first. It needs a fiftieth of hls.js's code, and less of the link.
 */
import type { Loaded, LoadOptions } from '../source'
import { beyond, ranges } from './buffer'
import { Fetching, Unusable } from './fetching'
import { type Media, media, type Rendition, renditions } from './playlist'
import { Track } from './track'

/** Loaded ahead of the place that plays (s): enough for a link that comes and goes. */
const AHEAD_S = 60
/** For somebody who has only opened the page, and may pay by the megabyte (s). */
const UNPLAYED_S = 10
/** A picture that is waited for needs so much (s), or as much more as it is waited for; then the rest. */
const URGENT_S = 0.6
const LOOK_MS = 500
const EVENTS = ['seeking', 'seeked', 'loadeddata', 'play', 'playing', 'waiting', 'timeupdate']

export class ClosedLesson implements Loaded {
  readonly #element: HTMLMediaElement
  readonly #options: LoadOptions
  readonly #otherwise: () => Promise<Loaded>
  readonly #source = new MediaSource()
  readonly #address: string
  readonly #end = new AbortController()
  readonly #timer: ReturnType<typeof setInterval>
  #tracks: readonly Track[] = []
  #medias: readonly Media[] = []
  #played = false
  /** How long somebody has been waiting for a picture (s). */
  #waited = 0
  #instead: Promise<Loaded> | undefined
  #other: Loaded | undefined

  /** Whether this browser has what it takes at all. */
  static isPossible(): boolean {
    return 'MediaSource' in globalThis && 'body' in Response.prototype
  }

  /** `otherwise` plays what this cannot. */
  constructor(
    element: HTMLMediaElement,
    url: string,
    options: LoadOptions,
    otherwise: (at: number) => Promise<Loaded>,
  ) {
    this.#element = element
    this.#options = options
    this.#otherwise = () => otherwise(this.#at)
    const anew = () => {
      this.#waited = 0
    }
    element.addEventListener('seeking', anew, { signal: this.#end.signal })
    for (const kind of EVENTS)
      element.addEventListener(kind, () => this.#look(), { signal: this.#end.signal })
    element.addEventListener('loadedmetadata', () => this.#begin(), { signal: this.#end.signal })
    element.addEventListener('error', () => this.#giveUp(), { signal: this.#end.signal })
    this.#timer = setInterval(() => {
      this.#waited += LOOK_MS / 1000
      this.#look()
    }, LOOK_MS)
    const open = new Promise<void>((resolve) =>
      this.#source.addEventListener('sourceopen', () => resolve(), { once: true }),
    )
    this.#address = URL.createObjectURL(this.#source)
    element.src = this.#address
    void this.#start(url, open).catch(() => this.#giveUp())
  }

  edge(): number {
    return this.#other?.edge() ?? this.#duration
  }

  epoch(): number | undefined {
    return this.#other ? this.#other.epoch() : this.#medias[0]?.epoch
  }

  destroy(): void {
    this.#close()
    if (this.#instead) {
      void this.#instead.then((other) => other.destroy()).catch(() => {})
      return
    }
    this.#element.removeAttribute('src')
    this.#element.load()
  }

  get #duration(): number {
    return Math.max(0, ...this.#medias.map(({ duration }) => duration))
  }

  /** Where it plays, or is to begin. */
  get #at(): number {
    const { readyState, currentTime } = this.#element
    return readyState === HTMLMediaElement.HAVE_NOTHING ? (this.#options.at ?? 0) : currentTime
  }

  async #start(url: string, open: Promise<void>): Promise<void> {
    const fetching = new Fetching(this.#options)
    const { signal } = this.#end
    const text = (from: string) => fetching.get(from, signal, (response) => response.text())
    const here = new URL(url, location.href).href
    const found = usable(renditions(await text(here), here))
    this.#medias = await Promise.all(
      found.map(async (one) => mustBe(media(await text(one.url), one.url))),
    )
    await open
    signal.throwIfAborted()
    this.#source.duration = this.#duration
    const buffers = found.map(({ type }) => this.#source.addSourceBuffer(type))
    this.#tracks = buffers.flatMap((buffer, n) => {
      const options = {
        fetching,
        onChange: () => this.#look(),
        onBroken: () => this.#giveUp(),
      }
      const known = this.#medias[n]
      return known ? [new Track({ buffer, media: known, ...options })] : []
    })
    this.#look()
  }

  #begin(): void {
    const { at = 0 } = this.#options
    if (at > 0) this.#element.currentTime = Math.min(at, this.#duration)
  }

  /** Asks the tracks for what is needed now. */
  #look(): void {
    if (this.#end.signal.aborted || this.#tracks.length === 0) return
    const { paused, seeking, readyState } = this.#element
    this.#played ||= !paused
    const urgent = seeking || readyState < HTMLMediaElement.HAVE_CURRENT_DATA
    const calm = this.#played ? AHEAD_S : UNPLAYED_S
    if (!urgent) this.#waited = 0
    for (const track of this.#tracks)
      track.wish({ at: this.#at, ahead: urgent ? URGENT_S + this.#waited : calm, urgent })
    if (this.#tracks.every((track) => track.complete)) this.#finish()
    else if (urgent || (!paused && readyState < HTMLMediaElement.HAVE_FUTURE_DATA)) this.#getOn()
  }

  #finish(): void {
    const { readyState, sourceBuffers } = this.#source
    const busy = Array.from(sourceBuffers).some((buffer) => buffer.updating)
    if (readyState === 'open' && !busy) this.#source.endOfStream()
  }

  /** Over a hole that stays, if it is a small one. */
  #getOn(): void {
    const element = this.#element
    if (!this.#tracks.every((track) => track.has(this.#at)) || element.readyState === 0) return
    const to = beyond(ranges(element.buffered), element.currentTime)
    if (to !== undefined) element.currentTime = to
  }

  #close(): void {
    this.#end.abort()
    clearInterval(this.#timer)
    for (const track of this.#tracks) track.close()
    URL.revokeObjectURL(this.#address)
  }

  /** What this cannot play is left to the other player, where it stands. */
  #giveUp(): void {
    if (this.#end.signal.aborted) return
    const playing = !this.#element.paused
    this.#instead = this.#otherwise()
    this.#close()
    void this.#instead
      .then((other) => {
        this.#other = other
        if (playing) void this.#element.play().catch(() => {})
      })
      .catch(() => this.#options.onTrouble('network'))
  }
}

function usable(found: Rendition[] | undefined): Rendition[] {
  const known = mustBe(found)
  if (known.every(({ type }) => MediaSource.isTypeSupported(type))) return known
  throw new Unusable('format')
}

function mustBe<T>(value: T | undefined): T {
  if (value === undefined) throw new Unusable('playlist')
  return value
}
