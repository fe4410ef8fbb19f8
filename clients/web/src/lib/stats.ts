/** From getStats (W3C webrtc-stats) to one word a teacher understands. Pure. */

export type Quality = 'good' | 'weak' | 'bad'

/** Counters of one moment, summed over all streams. */
export interface Sample {
  /** Milliseconds. */
  at: number
  bytes: number
  packets: number
  lost: number
  rttMs: number
  /** Nothing is lost by TCP; it comes late instead. */
  tcp: boolean
  /** The encoder lowers its picture because the network is too slow. */
  limited: boolean
}

/** What happened between two samples. */
export interface Rates {
  kbps: number
  lossPercent: number
  rttMs: number
  tcp: boolean
  limited: boolean
}

/** The fields used here; every report is a bag of optional ones. */
interface Report {
  id?: string
  type: string
  timestamp: number
  bytesSent?: number
  bytesReceived?: number
  packetsSent?: number
  packetsReceived?: number
  packetsLost?: number
  roundTripTime?: number
  currentRoundTripTime?: number
  availableOutgoingBitrate?: number
  nominated?: boolean
  localCandidateId?: string
  protocol?: string
  qualityLimitationReason?: string
}

/** Below this a camera at 720p and slides do not both fit. */
const NARROW_BPS = 1_000_000

/** What this browser sends: loss and round trips as the node reports them (RFC 3550 receiver reports). */
export function uplinkSample(reports: Iterable<unknown>): Sample {
  const all = [...reports] as Report[]
  const sent = all.filter((report) => report.type === 'outbound-rtp')
  const heard = all.filter((report) => report.type === 'remote-inbound-rtp')
  return {
    at: latest(all),
    bytes: sum(sent, 'bytesSent'),
    packets: sum(sent, 'packetsSent'),
    lost: sum(heard, 'packetsLost'),
    rttMs: roundTrip(all),
    tcp: isTcp(all),
    limited: sent.some((report) => report.qualityLimitationReason === 'bandwidth') && isNarrow(all),
  }
}

/** What this browser receives. Loss is what stayed lost after retransmission. */
export function downlinkSample(reports: Iterable<unknown>): Sample {
  const all = [...reports] as Report[]
  const received = all.filter((report) => report.type === 'inbound-rtp')
  const [packets, lost] = [sum(received, 'packetsReceived'), sum(received, 'packetsLost')]
  return {
    at: latest(all),
    bytes: sum(received, 'bytesReceived'),
    packets: packets + lost,
    lost,
    rttMs: roundTrip(all),
    tcp: isTcp(all),
    limited: false,
  }
}

/** Rates between two samples; undefined when no time passed or the counters began anew. */
export function rates(before: Sample, after: Sample): Rates | undefined {
  const ms = after.at - before.at
  if (ms <= 0 || after.bytes < before.bytes) return undefined
  const packets = after.packets - before.packets
  const lost = Math.max(0, after.lost - before.lost)
  return {
    kbps: ((after.bytes - before.bytes) * 8) / ms,
    lossPercent: packets > 0 ? Math.min(100, (100 * lost) / packets) : 0,
    rttMs: after.rttMs,
    tcp: after.tcp,
    limited: after.limited,
  }
}

/**
 * The word for a moment. A round trip alone never makes a link bad: a satellite's is 600 ms and its
 * lessons are fine. Nothing at all for a whole interval is bad: even silence is sent as audio.
 */
export function quality({ kbps, lossPercent, rttMs, limited }: Rates): Quality {
  if (kbps < 5 || lossPercent >= 10) return 'bad'
  if (lossPercent >= 3 || rttMs >= 800 || limited) return 'weak'
  return 'good'
}

/** Changes its word only after it was heard three times running: no flicker, no false alarm. */
export class Steady {
  #word: Quality | undefined
  #candidate: Quality | undefined
  #heard = 0

  next(word: Quality): Quality {
    this.#heard = word === this.#candidate ? this.#heard + 1 : 1
    this.#candidate = word
    if (this.#word === undefined || this.#heard >= 3) this.#word = word
    return this.#word
  }
}

function sum(
  reports: readonly Report[],
  field: 'bytesSent' | 'bytesReceived' | 'packetsSent' | 'packetsReceived' | 'packetsLost',
): number {
  return reports.reduce((total, report) => total + (report[field] ?? 0), 0)
}

/** At the start an encoder climbs step by step on any line: only a low estimate makes it the line's fault. */
function isNarrow(reports: readonly Report[]): boolean {
  const pair = reports.find((report) => report.type === 'candidate-pair' && report.nominated)
  return (pair?.availableOutgoingBitrate ?? 0) < NARROW_BPS
}

function isTcp(reports: readonly Report[]): boolean {
  const pair = reports.find((report) => report.type === 'candidate-pair' && report.nominated)
  const local = pair && reports.find((report) => report.id === pair.localCandidateId)
  return local?.protocol === 'tcp'
}

function latest(reports: readonly Report[]): number {
  return reports.reduce((at, report) => Math.max(at, report.timestamp), 0)
}

function roundTrip(reports: readonly Report[]): number {
  const pair = reports.find((report) => report.type === 'candidate-pair' && report.nominated)
  const heard = reports.find(
    (report) => report.type === 'remote-inbound-rtp' && report.roundTripTime,
  )
  return 1000 * (heard?.roundTripTime ?? pair?.currentRoundTripTime ?? 0)
}
