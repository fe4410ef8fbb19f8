/**
 * How long sound and pictures wait before they are played: on a long way what was lost comes again
 * meanwhile. All receivers wait alike, or the voice would run ahead of the pictures. Who speaks does
 * not wait: a conversation has no time for it. Pure, but for `setPlayout`.
 */

/** Seconds of round trip from which there is something to wait for, and loss in percent. */
const LONG_WAY = 0.25
const LOSES = 0.2
/** Looks without such a loss after which nothing is waited for any more. */
const CALM = 30
/** What is waited beyond a round trip, and the most that `jitterBufferTarget` takes; seconds. */
const REPAIR = 0.4
const MOST = 4
/** Looks of which the shortest round trip counts: others contain a queue. */
const RECENT = 8

export class Playout {
  #rtts: number[] = []
  #calm = CALM

  /** A look at the line: round trip in seconds, loss in percent. Returns seconds to wait. */
  handleLine(rtt: number, lossPercent: number, speaks: boolean): number {
    this.#rtts = [...this.#rtts, rtt].slice(-RECENT)
    this.#calm = lossPercent >= LOSES ? 0 : this.#calm + 1
    const shortest = Math.min(...this.#rtts)
    if (speaks || (shortest < LONG_WAY && this.#calm >= CALM)) return 0
    return Math.min(MOST, Math.ceil((shortest + REPAIR) * 10) / 10)
  }
}

/** `delay` in seconds, 0 for as soon as possible. Browsers without the setting choose by themselves. */
export function setPlayout(receivers: Iterable<RTCRtpReceiver | undefined>, delay: number): void {
  for (const receiver of receivers)
    if (receiver && 'jitterBufferTarget' in receiver)
      receiver.jitterBufferTarget = Math.round(delay * 1000)
}
