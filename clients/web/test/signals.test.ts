import { describe, expect, it } from 'vitest'
import { parseNodeSignal, parseTeacherSignal } from '../src/lib/signals'

const rubbish = ['', 'hello', '7', 'null', '[]', '{}', '{"type":"chat"}', '{"type":', undefined, 7]
const node = (said: object) => parseNodeSignal(JSON.stringify(said))

describe('the node', () => {
  it('rings the bell', () => {
    expect(node({ type: 'ended', more: 1 })).toEqual({ type: 'ended' })
  })
  it('tells which picture it holds back and which comes again', () => {
    for (const source of ['camera', 'slides'])
      for (const state of ['paused', 'playing']) {
        const said = { type: 'quality', source, state }
        expect(node({ ...said, more: 1 })).toEqual(said)
      }
  })
  it('is not understood with other pictures or other states', () => {
    for (const change of [
      { source: 'microphone' },
      { source: undefined },
      { source: ['camera'] },
      { state: 'stopped' },
      { state: true },
      { state: undefined },
    ])
      expect(
        node({ type: 'quality', source: 'camera', state: 'paused', ...change }),
      ).toBeUndefined()
  })
  it('asks for time to repair, of four seconds at most', () => {
    for (const [delay, kept] of [
      [0, 0],
      [1.05, 1.05],
      [4, 4],
      [10, 4],
      [1e300, 4],
    ])
      expect(node({ type: 'playout', delay })).toEqual({ type: 'playout', delay: kept })
  })
  it('is not understood with a delay that is none', () => {
    for (const delay of [-0.1, '1', null, undefined, [1], {}, true])
      expect(node({ type: 'playout', delay })).toBeUndefined()
    expect(parseNodeSignal('{"type":"playout","delay":NaN}')).toBeUndefined()
    expect(parseNodeSignal('{"type":"playout","delay":1e999}')).toEqual({
      type: 'playout',
      delay: 4,
    })
  })
  it('has nothing to say about switches', () => {
    expect(node({ type: 'switches', camera: true, slides: true })).toBeUndefined()
  })
})

describe('the teacher', () => {
  const switches = { type: 'switches', camera: false, slides: true }
  it('tells what is switched off', () => {
    expect(parseTeacherSignal(JSON.stringify({ ...switches, more: 1 }))).toEqual(switches)
    expect(parseTeacherSignal('{"type":"switches","camera":1,"slides":true}')).toBeUndefined()
  })
  it('cannot speak for the node, nor can anybody else who may send on that channel', () => {
    for (const said of ['{"type":"ended"}', '{"type":"playout","delay":4}'])
      expect(parseTeacherSignal(said)).toBeUndefined()
  })
})

describe('rubbish', () => {
  it('is somebody else’s', () => {
    for (const data of [...rubbish, new ArrayBuffer(2)]) {
      expect(parseNodeSignal(data)).toBeUndefined()
      expect(parseTeacherSignal(data)).toBeUndefined()
    }
  })
})
