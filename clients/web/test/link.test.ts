import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { HttpError } from '../src/lib/http'
import { judgeSchool } from '../src/lib/judge'
import { type Call, Elsewhere, Link, type LinkState, type Loss } from '../src/lib/link'

/** A call whose end the test sets. */
class FakeCall implements Call {
  closed = false
  end: (loss: Loss) => void = () => {}
  refuse: (error: Error) => void = () => {}
  readonly over = new Promise<Loss>((resolve, reject) => {
    this.end = resolve
    this.refuse = reject
  })

  close(): void {
    this.closed = true
  }
}

/** A link whose dialling follows a script: an error to throw, or a call that is up. */
function scene(script: (Error | FakeCall)[]) {
  const states: LinkState[] = []
  const network = new EventTarget()
  const dialled: number[] = []
  const link = new Link({
    dial: async () => {
      dialled.push(Date.now())
      const step = script.shift()
      if (!step || step instanceof Error) throw step ?? new TypeError('the script is over')
      return step
    },
    judge: (error, wasLive) => judgeSchool(error, wasLive, 0),
    onState: (state) => states.push(state),
    network,
    random: () => 1,
  })
  const finished = link.run()
  return { link, states, network, dialled, finished }
}

const settle = () => vi.advanceTimersByTimeAsync(0)

beforeEach(() => {
  vi.useFakeTimers({ now: 0 })
})

afterEach(() => {
  vi.useRealTimers()
})

describe('Link', () => {
  it('waits by Retry-After, then goes live by itself', async () => {
    const { link, states, dialled } = scene([
      new HttpError(409, '', 3),
      new HttpError(409, '', 3),
      new FakeCall(),
    ])
    await vi.advanceTimersByTimeAsync(6000)
    expect(dialled).toEqual([0, 3000, 6000])
    expect(states).toEqual(['connecting', 'waiting', 'waiting', 'live'])
    link.stop()
  })

  it('makes a new call when the old one is lost, and closes that', async () => {
    const [first, second] = [new FakeCall(), new FakeCall()]
    const { link, states } = scene([first, second])
    await settle()
    first.end('lost')
    await vi.advanceTimersByTimeAsync(500)
    expect(first.closed).toBe(true)
    expect(states).toEqual(['connecting', 'live', 'reconnecting', 'live'])
    link.stop()
  })

  it('tells of the loss before it closes the call, so that the last picture can be held', async () => {
    const call = new FakeCall()
    const { link, states } = scene([call])
    const seen: LinkState[][] = []
    call.close = () => void seen.push([...states])
    await settle()
    call.end('lost')
    await settle()
    expect(seen).toEqual([['connecting', 'live', 'reconnecting']])
    link.stop()
  })

  it('does not wait any longer once the network is back', async () => {
    const call = new FakeCall()
    const { link, network, dialled } = scene([call, new FakeCall()])
    await settle()
    call.end('lost')
    await settle()
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

  it('ends with the bell, looks later, and goes on when the lesson does', async () => {
    const [first, second] = [new FakeCall(), new FakeCall()]
    const { link, states, dialled } = scene([first, second])
    await settle()
    first.end('bell')
    await vi.advanceTimersByTimeAsync(10_000)
    expect(dialled).toEqual([0, 10_000])
    expect(states).toEqual(['connecting', 'live', 'ended', 'live'])
    link.stop()
  })

  it('stops for good at a refusal', async () => {
    const { states, finished, dialled } = scene([new HttpError(403, '')])
    await finished
    expect(states).toEqual(['connecting', 'error'])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(dialled).toHaveLength(1)
  })

  it('leaves its place to the same link in another window', async () => {
    const call = new FakeCall()
    const { states, finished, dialled } = scene([call])
    await settle()
    call.refuse(new Elsewhere())
    await finished
    expect(states).toEqual(['connecting', 'live', 'error'])
    expect(call.closed).toBe(true)
    expect(dialled).toHaveLength(1)
  })

  it.each(['coming up', 'live', 'pausing'])('stops at once while %s', async (moment) => {
    const call = new FakeCall()
    const { link, finished, dialled } = scene(
      moment === 'pausing' ? [new HttpError(409, '', 9)] : [call],
    )
    if (moment !== 'coming up') await settle()
    link.stop()
    await finished
    expect(call.closed).toBe(moment !== 'pausing')
    expect(dialled).toHaveLength(1)
  })
})
