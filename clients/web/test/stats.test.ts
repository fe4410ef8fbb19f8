import { describe, expect, it } from 'vitest'
import { downlinkSample, quality, rates, type Sample, Steady, uplinkSample } from '../src/lib/stats'

const sample = (change: Partial<Sample>): Sample => ({
  at: 0,
  bytes: 0,
  packets: 0,
  lost: 0,
  rttMs: 40,
  tcp: false,
  limited: false,
  ...change,
})
const fine = { kbps: 1500, lossPercent: 0, rttMs: 40, tcp: false, limited: false }

describe('samples', () => {
  const reports = [
    { type: 'outbound-rtp', timestamp: 9, bytesSent: 100, packetsSent: 10 },
    {
      type: 'outbound-rtp',
      timestamp: 10,
      bytesSent: 50,
      packetsSent: 5,
      qualityLimitationReason: 'bandwidth',
    },
    { type: 'remote-inbound-rtp', timestamp: 8, packetsLost: 2, roundTripTime: 0.25 },
    { type: 'inbound-rtp', timestamp: 10, bytesReceived: 70, packetsReceived: 9, packetsLost: 1 },
    { type: 'candidate-pair', timestamp: 10, nominated: true, currentRoundTripTime: 0.04 },
  ]
  it('sums what is sent and takes loss and round trip from the node', () => {
    const up = { at: 10, bytes: 150, packets: 15, lost: 2, rttMs: 250, tcp: false, limited: true }
    expect(uplinkSample(reports)).toEqual(up)
  })
  it('blames the line for a small picture only when the line is narrow', () => {
    const pair = (bps: number) => ({
      ...{ type: 'candidate-pair', timestamp: 10, nominated: true },
      availableOutgoingBitrate: bps,
    })
    expect(uplinkSample([...reports.slice(0, 2), pair(400_000)]).limited).toBe(true)
    expect(uplinkSample([...reports.slice(0, 2), pair(5_000_000)]).limited).toBe(false)
  })
  it('counts a lost packet as one that was sent', () => {
    const heard = downlinkSample(reports.filter((report) => report.type !== 'remote-inbound-rtp'))
    const counted = { at: 10, bytes: 70, packets: 10, lost: 1 }
    expect(heard).toEqual({ ...counted, rttMs: 40, tcp: false, limited: false })
  })
  it('knows a connection by TCP', () => {
    const pair = { type: 'candidate-pair', timestamp: 10, nominated: true, localCandidateId: 'a' }
    const local = (protocol: string) => ({
      id: 'a',
      type: 'local-candidate',
      protocol,
      timestamp: 1,
    })
    expect(downlinkSample([pair, local('tcp')]).tcp).toBe(true)
    expect(downlinkSample([pair, local('udp')]).tcp).toBe(false)
  })
})

describe('rates', () => {
  it('are per second, and loss is of what was sent meanwhile', () => {
    const before = sample({ at: 1000, bytes: 1000, packets: 100, lost: 10 })
    const after = sample({ at: 3000, bytes: 251_000, packets: 300, lost: 20 })
    const line = { rttMs: 40, tcp: false, limited: false }
    expect(rates(before, after)).toEqual({ kbps: 1000, lossPercent: 5, ...line })
  })
  it('never go below zero when a late packet mends the count', () => {
    expect(rates(sample({ lost: 5 }), sample({ at: 1, packets: 10, lost: 3 }))?.lossPercent).toBe(0)
  })
  it('are unknown across a new connection', () => {
    expect(rates(sample({ at: 1, bytes: 900 }), sample({ at: 2, bytes: 10 }))).toBeUndefined()
    expect(rates(sample({}), sample({}))).toBeUndefined()
  })
})

describe('quality', () => {
  it.each([
    [{}, 'good'],
    [{ rttMs: 640 }, 'good'],
    [{ rttMs: 800 }, 'weak'],
    [{ lossPercent: 2.9 }, 'good'],
    [{ lossPercent: 3 }, 'weak'],
    [{ lossPercent: 10 }, 'bad'],
    [{ limited: true }, 'weak'],
    [{ kbps: 0 }, 'bad'],
  ])('%o is %s', (change, word) => {
    expect(quality({ ...fine, ...change })).toBe(word)
  })
})

describe('Steady', () => {
  it('takes the first word at once and the next only when heard three times running', () => {
    const steady = new Steady()
    const heard = (['good', 'weak', 'weak', 'good', 'weak', 'weak', 'weak'] as const).map((word) =>
      steady.next(word),
    )
    expect(heard).toEqual(['good', 'good', 'good', 'good', 'good', 'good', 'weak'])
  })
})
