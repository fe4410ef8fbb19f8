/** Fetches with patience: a link that comes and goes costs time, not the lesson. */
import { ask, HttpError } from '../../lib/http'
import type { Trouble } from '../source'

export interface Listener {
  /** Nothing has come for long; it is tried on. */
  onTrouble(trouble: Trouble): void
  /** After such trouble something came. */
  onMended(): void
  /** The node no longer knows us; resolves when it does again. */
  renew(): Promise<void>
}

/** Pauses between tries: short at first, then patient; it is said when these are used up. */
const PAUSES_MS = [500, 1000, 2000, 4000, 8000]
/** A link on which nothing comes for so long is no link. */
const SILENCE_MS = 20_000

/** An answer was of no use: not the link's fault, and not to be asked for again. */
export class Unusable extends Error {}

export class Fetching {
  readonly #listener: Listener
  #failures = 0

  constructor(listener: Listener) {
    this.#listener = listener
  }

  /**
   * What `use` makes of the answer, which may take as long as it says now and then that it is `alive`.
   * Tried until it works. Throws Unusable from `use`, and an AbortError when `signal` says so.
   */
  async get<T>(
    url: string,
    signal: AbortSignal,
    use: (response: Response, alive: () => void) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      try {
        const value = await this.#once(url, signal, use)
        this.#worked()
        return value
      } catch (error) {
        if (signal.aborted || error instanceof Unusable) throw error
        await this.#failed(error, signal)
      }
    }
  }

  async #once<T>(
    url: string,
    signal: AbortSignal,
    use: (response: Response, alive: () => void) => Promise<T>,
  ): Promise<T> {
    const run = new AbortController()
    const stop = () => run.abort()
    signal.addEventListener('abort', stop)
    let silence = setTimeout(stop, SILENCE_MS)
    const alive = () => {
      clearTimeout(silence)
      silence = setTimeout(stop, SILENCE_MS)
    }
    try {
      signal.throwIfAborted()
      return await use(await ask(url, { signal: run.signal }), alive)
    } finally {
      clearTimeout(silence)
      signal.removeEventListener('abort', stop)
    }
  }

  #worked(): void {
    if (this.#failures > PAUSES_MS.length) this.#listener.onMended()
    this.#failures = 0
  }

  async #failed(error: unknown, signal: AbortSignal): Promise<void> {
    const pause = PAUSES_MS[Math.min(this.#failures++, PAUSES_MS.length - 1)] ?? 0
    const trouble = troubleOf(error)
    if (this.#failures === PAUSES_MS.length + 1) this.#listener.onTrouble(trouble)
    if (trouble === 'denied') await this.#listener.renew().catch(() => {})
    await rest(pause, signal)
  }
}

function troubleOf(error: unknown): Trouble {
  const status = error instanceof HttpError ? error.status : undefined
  if (status === 401 || status === 403) return 'denied'
  return status === 404 || status === 410 ? 'gone' : 'network'
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
  })
}
