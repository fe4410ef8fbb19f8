/**
 * Keeps a call up: dials, waits for its end, and dials again when the connection is lost.
 *
 *     connecting -> live -> reconnecting -> live ... -> ended
 *         \-> waiting -> live (a school, before the teacher)      any -> error (a link that is refused)
 *
 * A call mends short losses by itself; here is what is left when it gives up. What an error means is
 * the caller's `judge`.
 */
import { backoff } from './backoff'

export type LinkState = 'connecting' | 'waiting' | 'live' | 'reconnecting' | 'ended' | 'error'

/** What to do about a failed attempt. `afterMs` absent: the usual backoff. */
export type Verdict =
  | { state: 'error' }
  | { state: Exclude<LinkState, 'error' | 'live'>; afterMs?: number }

/** How a call ends: the connection is lost for good, or the lesson is over. */
export type Loss = 'lost' | 'bell'

export interface Call {
  /** Settles at its end; rejects where the node does not want us any more. */
  over: Promise<Loss>
  close(): void
}

export interface LinkOptions {
  dial(): Promise<Call>
  /** Pure: `wasLive` tells whether this link was ever up, `attempt` how many failed since. */
  judge(error: unknown, wasLive: boolean, attempt: number): Verdict
  onState(state: LinkState, error?: unknown): void
  /** Told of 'online' and of a change of the network's kind. Tests give their own. */
  network?: EventTarget
  random?: () => number
}

/** The connection did not come up in time, though the node answered. */
export class NoPath extends Error {}

/** The same identity is here a second time: the newer one stays. */
export class Elsewhere extends Error {}

/** Somebody with authority took us out of the lesson. */
export class Removed extends Error {}

/** How often a school looks whether an ended lesson goes on. */
export const AFTER_BELL_MS = 10_000

export class Link {
  readonly #options: LinkOptions
  readonly #abort = new AbortController()
  readonly #stopped: Promise<'stopped'>

  constructor(options: LinkOptions) {
    this.#options = options
    this.#stopped = new Promise((resolve) =>
      this.#abort.signal.addEventListener('abort', () => resolve('stopped'), { once: true }),
    )
  }

  /** Runs until `stop` or an error that no retry can mend. */
  async run(): Promise<void> {
    const { onState, judge, random = Math.random } = this.#options
    let wasLive = false
    let attempt = 0
    onState('connecting')
    while (!this.#abort.signal.aborted) {
      try {
        const loss = await this.#oneCall(() => {
          wasLive = true
          attempt = 0
        })
        if (loss === 'stopped') return
        await this.#pause(loss === 'bell' ? AFTER_BELL_MS : backoff(attempt++, random()))
      } catch (error) {
        if (this.#abort.signal.aborted) return
        const verdict = judge(error, wasLive, attempt)
        onState(verdict.state, error)
        if (verdict.state === 'error') return
        await this.#pause(verdict.afterMs ?? backoff(attempt++, random()))
      }
    }
  }

  stop(): void {
    this.#abort.abort()
  }

  async #oneCall(onUp: () => void): Promise<Loss | 'stopped'> {
    const call = await this.#options.dial()
    try {
      if (this.#abort.signal.aborted) return 'stopped'
      onUp()
      this.#options.onState('live')
      const loss = await Promise.race([call.over, this.#stopped])
      if (loss !== 'stopped') this.#options.onState(loss === 'bell' ? 'ended' : 'reconnecting')
      return loss
    } finally {
      call.close()
    }
  }

  /** Sleeps; a network that came back or `stop` ends it early. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const watch = new AbortController()
      const settle = () => {
        watch.abort()
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(settle, ms)
      this.#options.network?.addEventListener('change', settle, { signal: watch.signal })
      this.#abort.signal.addEventListener('abort', settle, { signal: watch.signal })
      if (this.#abort.signal.aborted) settle()
    })
  }
}
