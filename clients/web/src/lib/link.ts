/**
 * Keeps a call up: dials, watches, and dials again with a new session when the connection is lost.
 *
 *     connecting -> live -> reconnecting -> live ... -> ended
 *         \-> waiting -> live (a school, before the teacher)      any -> error (a link that is refused)
 *
 * What an error means is the caller's `judge`: a school waits on 409, a teacher tries again.
 */
import { backoff } from './backoff'
import type { Call } from './whip'

export type LinkState = 'connecting' | 'waiting' | 'live' | 'reconnecting' | 'ended' | 'error'

/** What to do about a failed attempt. `afterMs` absent: the usual backoff. */
export type Verdict =
  | { state: 'error' }
  | { state: Exclude<LinkState, 'error' | 'live'>; afterMs?: number }

export interface LinkOptions {
  dial(signal: AbortSignal): Promise<Call>
  /** Pure: `wasLive` tells whether this link was ever up, `attempt` how many failed since. */
  judge(error: unknown, wasLive: boolean, attempt: number): Verdict
  onState(state: LinkState, error?: unknown): void
  /** Told of 'online' and of a change of the network's kind. Tests give their own. */
  network?: EventTarget
  random?: () => number
}

/** The connection did not come up in time, though the node answered. */
export class NoPath extends Error {}

const CONNECT_MS = 12_000
const DISCONNECTED_MS = 5_000
/** How often a school looks whether an ended lesson goes on. */
export const AFTER_BELL_MS = 10_000

type Loss = 'lost' | 'bell' | 'stopped'

export class Link {
  /** The call that is up or coming up. */
  call: Call | undefined
  readonly #options: LinkOptions
  readonly #abort = new AbortController()
  readonly #nudges = new EventTarget()

  constructor(options: LinkOptions) {
    this.#options = options
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

  /** The lesson ended: the call is over, but it may go on later. */
  bell(): void {
    this.#nudge('bell')
  }

  stop(): void {
    this.#abort.abort()
    this.#nudge('stop')
  }

  async #oneCall(onUp: () => void): Promise<Loss> {
    const call = await this.#options.dial(this.#abort.signal)
    this.call = call
    try {
      await this.#up(call.peer)
      onUp()
      this.#options.onState('live')
      const loss = await this.#lost(call.peer)
      // Told while the tracks still live: a page may hold its last picture before it turns black.
      if (loss !== 'stopped') this.#options.onState(loss === 'bell' ? 'ended' : 'reconnecting')
      return loss
    } finally {
      call.peer.close()
      this.call = undefined
    }
  }

  #up(peer: RTCPeerConnection): Promise<void> {
    return new Promise((resolve, reject) => {
      const watch = new AbortController()
      const settle = (act: () => void) => {
        watch.abort()
        clearTimeout(timer)
        act()
      }
      const timer = setTimeout(() => settle(() => reject(new NoPath())), CONNECT_MS)
      const look = () => {
        if (peer.connectionState === 'connected') settle(resolve)
        if (peer.connectionState === 'failed') settle(() => reject(new NoPath()))
      }
      peer.addEventListener('connectionstatechange', look, { signal: watch.signal })
      this.#nudges.addEventListener('stop', () => settle(() => reject(new NoPath())), {
        signal: watch.signal,
      })
      look()
    })
  }

  /** Waits until the call is over: failed, silent for 5 s, on another network, or ended. */
  #lost(peer: RTCPeerConnection): Promise<Loss> {
    return new Promise((resolve) => {
      const watch = new AbortController()
      const { signal } = watch
      let timer: ReturnType<typeof setTimeout> | undefined
      const settle = (loss: Loss) => {
        watch.abort()
        clearTimeout(timer)
        resolve(loss)
      }
      const look = () => {
        clearTimeout(timer)
        const { connectionState, iceConnectionState } = peer
        if (connectionState === 'failed' || connectionState === 'closed') settle('lost')
        else if (iceConnectionState === 'disconnected' || connectionState === 'disconnected')
          timer = setTimeout(() => settle('lost'), DISCONNECTED_MS)
      }
      peer.addEventListener('connectionstatechange', look, { signal })
      peer.addEventListener('iceconnectionstatechange', look, { signal })
      // A node that shuts down says so in DTLS long before its silence is noticed.
      const dtls = peer.sctp?.transport
      dtls?.addEventListener('statechange', () => dtls.state === 'closed' && settle('lost'), {
        signal,
      })
      this.#options.network?.addEventListener('change', () => settle('lost'), { signal })
      this.#nudges.addEventListener('bell', () => settle('bell'), { signal })
      this.#nudges.addEventListener('stop', () => settle('stopped'), { signal })
    })
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
      this.#nudges.addEventListener('stop', settle, { signal: watch.signal })
    })
  }

  #nudge(kind: 'bell' | 'stop'): void {
    this.#nudges.dispatchEvent(new Event(kind))
  }
}
