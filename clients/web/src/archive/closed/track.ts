/** One rendition in one SourceBuffer: segment after segment, poured in as they come. */
import { ranges, reach, segmentAt, useless, wanted } from './buffer'
import { type Fetching, Unusable } from './fetching'
import type { Media } from './playlist'

/** What the lesson wants of its tracks now. */
export interface Wish {
  /** Where it plays, or is to play (s). */
  at: number
  /** So much from there on (s). */
  ahead: number
  /** Somebody waits for a picture: nothing else matters. */
  urgent: boolean
}

export interface TrackOptions {
  buffer: SourceBuffer
  media: Media
  fetching: Fetching
  /** Something has come, or has been let go. */
  onChange(): void
  /** What came cannot be used. */
  onBroken(): void
}

/** What is kept behind the place that plays (s): enough to say "once more". */
const BEHIND_S = 90
/** And ahead of it, of what was loaded for a place further on (s). */
const BEYOND_S = 180
/** A browser that is full keeps so much (s), and no more is loaded than that. */
const [FULL_BEHIND_S, FULL_AHEAD_S] = [5, 15]

export class Track {
  readonly #options: TrackOptions
  readonly #had = new Set<number>()
  #wish: Wish = { at: 0, ahead: 0, urgent: true }
  #init = ''
  #most = Number.POSITIVE_INFINITY
  #loading: { index: number; run: AbortController } | undefined
  #half = false
  #closed = false

  constructor(options: TrackOptions) {
    this.#options = options
  }

  /** All is loaded from where it plays to the end of the lesson. */
  get complete(): boolean {
    const { segments, duration } = this.#options.media
    const last = segments.length - 1
    return !this.#loading && (this.#had.has(last) || this.#reach >= duration - 0.02)
  }

  /** The segment of this moment is loaded. */
  has(at: number): boolean {
    return this.#had.has(segmentAt(this.#options.media.segments, at))
  }

  /** Loads what that needs, one segment at a time; another one at once when it is urgent. */
  wish(wish: Wish): void {
    if (wish.urgent && !this.#wish.urgent) this.#had.clear()
    this.#wish = wish
    if (this.#closed) return
    const index = this.#next
    if (!this.#loading) {
      if (index !== undefined) void this.#load(index)
    } else if (wish.urgent && index !== undefined && index !== this.#loading.index)
      this.#loading.run.abort()
  }

  close(): void {
    this.#closed = true
    this.#loading?.run.abort()
  }

  get #next(): number | undefined {
    const { at, ahead } = this.#wish
    const want = { at, ahead: Math.min(ahead, this.#most), had: this.#had }
    return wanted(this.#options.media.segments, this.#loaded, want)
  }

  get #loaded() {
    return this.#closed ? [] : ranges(this.#options.buffer.buffered)
  }

  get #reach(): number {
    return reach(this.#loaded, this.#wish.at)
  }

  async #load(index: number): Promise<void> {
    const run = new AbortController()
    this.#loading = { index, run }
    try {
      if (!this.#wish.urgent) await this.#tidy(BEHIND_S, BEYOND_S)
      await this.#fetch(index, run.signal)
      this.#had.add(index)
    } catch (error) {
      if (isFull(error)) await this.#full()
      else if (!run.signal.aborted) return this.#closed ? undefined : this.#options.onBroken()
    } finally {
      this.#loading = undefined
    }
    if (!this.#closed) this.#options.onChange()
  }

  async #fetch(index: number, signal: AbortSignal): Promise<void> {
    const { media, fetching } = this.#options
    const segment = media.segments[index]
    if (!segment) return
    const { url, init } = segment
    const head =
      init === this.#init ? undefined : fetching.get(init, signal, async (got) => bytesOf(got))
    head?.catch(() => {})
    await fetching.get(url, signal, async (response, alive) => {
      this.#startOver()
      if (head) await this.#append(await head)
      this.#init = init
      await this.#pour(response, alive)
    })
    this.#half = false
  }

  /** The bytes go in as they come: the first picture is there long before the last. */
  async #pour(response: Response, alive: () => void): Promise<void> {
    const reader = response.body?.getReader()
    if (!reader) return this.#append(await bytesOf(response))
    const come: Uint8Array[] = []
    let ended = false
    let wake = () => {}
    const read = async () => {
      for (
        let { done, value } = await reader.read();
        !done;
        { done, value } = await reader.read()
      ) {
        alive()
        if (value) come.push(value)
        wake()
      }
    }
    const reading = read().finally(() => {
      ended = true
      wake()
    })
    reading.catch(() => {})
    try {
      while (!ended || come.length > 0)
        if (come.length > 0) await this.#append(joined(come.splice(0)))
        else await new Promise<void>((resolve) => (wake = resolve))
      await reading
    } finally {
      void reader.cancel().catch(() => {})
    }
  }

  /** What came of a segment before is forgotten; what was whole pictures of it stays. */
  #startOver(): void {
    if (this.#half && !this.#closed) this.#options.buffer.abort()
    this.#half = false
  }

  async #append(data: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#half = true
    await this.#do((buffer) => buffer.appendBuffer(data))
  }

  async #tidy(behind: number, ahead: number): Promise<void> {
    const far = useless(this.#loaded, { at: this.#wish.at, behind, ahead })
    if (!far) return
    for (const index of this.#had) {
      const { start = 0, end = 0 } = this.#options.media.segments[index] ?? {}
      if (end > far[0] && start < far[1]) this.#had.delete(index)
    }
    this.#startOver()
    await this.#do((buffer) => buffer.remove(...far))
  }

  /** The browser takes no more. */
  async #full(): Promise<void> {
    this.#most = FULL_AHEAD_S
    for (let n = 0; n < 2; n++) await this.#tidy(FULL_BEHIND_S, FULL_AHEAD_S).catch(() => {})
  }

  /** One thing after the other, each to its end. */
  #do(what: (buffer: SourceBuffer) => void): Promise<void> {
    const { buffer } = this.#options
    return new Promise((resolve, reject) => {
      if (this.#closed) throw new Unusable('closed')
      const refused = () => reject(new Unusable('refused'))
      const done = () => {
        buffer.removeEventListener('error', refused)
        buffer.removeEventListener('updateend', done)
        resolve()
      }
      buffer.addEventListener('error', refused, { once: true })
      buffer.addEventListener('updateend', done)
      try {
        what(buffer)
      } catch (error) {
        done()
        reject(isFull(error) ? new Full('full') : new Unusable(String(error)))
      }
    })
  }
}

/** The browser's store for media has no room (Media Source Extensions, 3.5.4). */
class Full extends Unusable {}

function isFull(error: unknown): boolean {
  return error instanceof Full || (error as { name?: string })?.name === 'QuotaExceededError'
}

async function bytesOf(response: Response): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await response.arrayBuffer())
}

function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
