import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { HttpError } from '../src/lib/http'
import { judgeSchool } from '../src/lib/judge'
import { Link, type LinkState, NoPath } from '../src/lib/link'
import type { Call } from '../src/lib/whip'

/** A peer whose states the test sets. */
class FakePeer extends EventTarget {
  connectionState: RTCPeerConnectionState = 'new'
  iceConnectionState: RTCIceConnectionState = 'new'
  closed = false

  become(connection: RTCPeerConnectionState, ice?: RTCIceConnectionState): void {
    this.connectionState = connection
    if (ice) this.iceConnectionState = ice
    this.dispatchEvent(new Event('connectionstatechange'))
    if (ice) this.dispatchEvent(new Event('iceconnectionstatechange'))
  }

  close(): void {
    this.closed = true
  }
}

/** A link whose dialling follows a script: an error to throw, or a peer that comes up. */
function scene(script: (Error | FakePeer)[]) {
  const states: LinkState[] = []
  const errors: unknown[] = []
  const network = new EventTarget()
  const dialled: number[] = []
  const link = new Link({
    dial: async () => {
      dialled.push(Date.now())
      const step = script.shift()
      if (!step || step instanceof Error) throw step ?? new TypeError('the script is over')
      return {
        peer: step as unknown as RTCPeerConnection,
        resource: '/r',
        answer: '',
      } satisfies Call
    },
    judge: (error, wasLive) => judgeSchool(error, wasLive, 0),
    onState: (state, error) => {
      states.push(state)
      if (error) errors.push(error)
    },
    network,
    random: () => 1,
  })
  const finished = link.run()
  return { link, states, errors, network, dialled, finished }
}

const settle = () => vi.advanceTimersByTimeAsync(0)

beforeEach(() => {
  vi.useFakeTimers({ now: 0 })
})

afterEach(() => {
  vi.useRealTimers()
})

describe('Link', () => {
  it('waits for the teacher by Retry-After, then goes live by itself', async () => {
    const peer = new FakePeer()
    const { link, states, dialled } = scene([
      new HttpError(409, '', 3),
      new HttpError(409, '', 3),
      peer,
    ])
    await vi.advanceTimersByTimeAsync(6000)
    expect(dialled).toEqual([0, 3000, 6000])
    peer.become('connected')
    await settle()
    expect(states).toEqual(['connecting', 'waiting', 'waiting', 'live'])
    link.stop()
  })

  it('makes a new session when the connection fails, and closes the old one', async () => {
    const [first, second] = [new FakePeer(), new FakePeer()]
    const { link, states } = scene([first, second])
    await settle()
    first.become('connected')
    await settle()
    first.become('failed')
    await vi.advanceTimersByTimeAsync(500)
    expect(first.closed).toBe(true)
    second.become('connected')
    await settle()
    expect(states).toEqual(['connecting', 'live', 'reconnecting', 'live'])
    link.stop()
  })

  it('tells of the loss while the tracks still live, so that the last picture can be held', async () => {
    const peer = new FakePeer()
    const { link, states } = scene([peer])
    const seen: LinkState[][] = []
    peer.close = () => void seen.push([...states])
    await settle()
    peer.become('connected')
    await settle()
    peer.become('failed')
    await settle()
    expect(seen).toEqual([['connecting', 'live', 'reconnecting']])
    link.stop()
  })

  it('forgives five seconds of silence, not more', async () => {
    const peer = new FakePeer()
    const { link, states } = scene([peer])
    await settle()
    peer.become('connected', 'connected')
    await settle()
    peer.become('disconnected', 'disconnected')
    await vi.advanceTimersByTimeAsync(4900)
    peer.become('connected', 'connected')
    await vi.advanceTimersByTimeAsync(10_000)
    expect(states.at(-1)).toBe('live')
    peer.become('disconnected', 'disconnected')
    await vi.advanceTimersByTimeAsync(5000)
    expect(states.at(-1)).toBe('reconnecting')
    link.stop()
  })

  it('leaves a network that is gone at once', async () => {
    const [first, second] = [new FakePeer(), new FakePeer()]
    const { link, states, network, dialled } = scene([first, second])
    await settle()
    first.become('connected')
    await settle()
    network.dispatchEvent(new Event('change'))
    await settle()
    expect(states.at(-1)).toBe('reconnecting')
    network.dispatchEvent(new Event('change'))
    await settle()
    expect(dialled).toHaveLength(2)
    link.stop()
  })

  it('backs off while nobody answers', async () => {
    const errors = Array.from({ length: 6 }, () => new TypeError('fetch failed'))
    const { link, dialled } = scene(errors)
    await vi.advanceTimersByTimeAsync(20_000)
    expect(dialled).toEqual([0, 500, 1500, 3500, 7500, 15_500])
    link.stop()
  })

  it('says when the node answers but no path opens', async () => {
    const peer = new FakePeer()
    const { link, errors } = scene([peer])
    await vi.advanceTimersByTimeAsync(12_000)
    expect(errors[0]).toBeInstanceOf(NoPath)
    expect(peer.closed).toBe(true)
    link.stop()
  })

  it('ends with the bell, looks later, and goes on when the lesson does', async () => {
    const [first, second] = [new FakePeer(), new FakePeer()]
    const { link, states, dialled } = scene([first, new HttpError(409, '', 2), second])
    await settle()
    first.become('connected')
    await settle()
    link.bell()
    await vi.advanceTimersByTimeAsync(20_000)
    expect(dialled).toEqual([0, 10_000, 20_000])
    second.become('connected')
    await settle()
    expect(states).toEqual(['connecting', 'live', 'ended', 'ended', 'live'])
    link.stop()
  })

  it('stops for good at a refusal', async () => {
    const { states, finished, dialled } = scene([new HttpError(403, '')])
    await finished
    expect(states).toEqual(['connecting', 'error'])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(dialled).toHaveLength(1)
  })

  it.each(['coming up', 'live', 'pausing'])('stops at once while %s', async (moment) => {
    const peer = new FakePeer()
    const { link, finished, dialled } = scene(
      moment === 'pausing' ? [new HttpError(409, '', 9)] : [peer],
    )
    await settle()
    if (moment === 'live') peer.become('connected')
    await settle()
    link.stop()
    await finished
    expect(peer.closed).toBe(moment !== 'pausing')
    expect(dialled).toHaveLength(1)
  })
})
