import { describe, expect, it } from 'vitest'
import { Moment } from '../src/join/moment'
import { Playout, setPlayout } from '../src/join/playout'
import { askedCodec, publishCodec } from '../src/lib/codec'
import { serverUrl } from '../src/lib/room'
import { tidy } from '../src/lib/tidy'
import { version4 } from '../src/lib/uuid'

describe('Moment', () => {
  const live = () => {
    const moment = new Moment()
    moment.handleLink('live')
    return moment
  }
  it('waits until somebody teaches', () => {
    const moment = live()
    expect(moment.state(0)).toBe('waiting')
    moment.handleTeacher(true, 1)
    expect(moment.state(1)).toBe('live')
  })
  it('holds on for half a minute when the teacher’s connection is lost', () => {
    const moment = live()
    moment.handleTeacher(true, 0)
    moment.handleTeacher(false, 1000)
    expect(moment.state(30_999)).toBe('reconnecting')
    expect(moment.state(31_000)).toBe('waiting')
    moment.handleTeacher(true, 40_000)
    expect(moment.state(40_000)).toBe('live')
  })
  it('stays ended after the bell, until somebody teaches again', () => {
    const moment = live()
    moment.handleTeacher(true, 0)
    moment.handleLink('ended')
    expect(moment.state(1)).toBe('ended')
    moment.handleLink('live')
    moment.handleTeacher(false, 2)
    expect(moment.state(2)).toBe('ended')
    moment.handleTeacher(true, 3)
    expect(moment.state(3)).toBe('live')
  })
  it('says what the link says while there is none', () => {
    const moment = live()
    moment.handleTeacher(true, 0)
    moment.handleLink('reconnecting')
    expect(moment.state(1)).toBe('reconnecting')
  })
})

describe('Playout', () => {
  it('waits for nothing on a short clean way', () => {
    expect(new Playout().handleLine(0.05, 0, false)).toBe(0)
  })
  it('waits a round trip and the time of repair on a long one', () => {
    expect(new Playout().handleLine(0.6, 0, false)).toBeCloseTo(1)
  })
  it('counts the shortest round trip of late: others contain a queue', () => {
    const playout = new Playout()
    playout.handleLine(0.1, 0, false)
    expect(playout.handleLine(0.9, 0, false)).toBe(0)
    for (let look = 0; look < 8; look++) playout.handleLine(0.9, 0, false)
    expect(playout.handleLine(0.9, 0, false)).toBeCloseTo(1.3)
  })
  it('waits on a way that loses, until it has lost nothing for a minute', () => {
    const playout = new Playout()
    expect(playout.handleLine(0.05, 0.5, false)).toBeCloseTo(0.5)
    const later = Array.from({ length: 30 }, () => playout.handleLine(0.05, 0.1, false))
    expect(later).toEqual([...Array.from({ length: 29 }, () => 0.5), 0])
  })
  it('does not wait while we speak, nor longer than browsers can', () => {
    expect(new Playout().handleLine(0.6, 5, true)).toBe(0)
    expect(new Playout().handleLine(9, 0, false)).toBe(4)
  })
  it('leaves browsers without the setting alone', () => {
    const [able, unable] = [{ jitterBufferTarget: null }, {}]
    setPlayout([able, unable, undefined] as unknown as RTCRtpReceiver[], 1.05)
    expect(able.jitterBufferTarget).toBe(1050)
    expect(unable).toEqual({})
  })
})

describe('tidy', () => {
  it('leaves markup what it is: text', () => {
    expect(tidy(' <img src=x onerror=alert(1)> ')).toBe('<img src=x onerror=alert(1)>')
  })
  it('takes out what would break or turn a line', () => {
    expect(tidy('a\u0000\n\u202eb')).toBe('a b')
    expect(tidy('\u2066\n ')).toBe('')
  })
  it('cuts what is too long between letters', () => {
    expect([...tidy('😀'.repeat(2000))]).toHaveLength(1001)
  })
})

describe('codecs', () => {
  const formats = ['video/VP8', 'video/rtx', 'video/H264', 'video/AV1'].map((mimeType) => ({
    mimeType,
  }))
  it('are read from the address, in any case', () => {
    expect(askedCodec('?codec=vp8')).toBe('VP8')
    expect(askedCodec('?x=1&codec=AV1')).toBe('AV1')
    expect(askedCodec('?codec=h265')).toBeUndefined()
    expect(askedCodec('')).toBeUndefined()
  })
  it('are H264 where the browser has it', () => {
    expect(publishCodec(formats, undefined)).toBe('h264')
    expect(publishCodec(formats.slice(0, 2), undefined)).toBe('vp8')
    expect(publishCodec(formats, 'AV1')).toBe('av1')
  })
  it('are none where the browser lacks what was asked for', () => {
    expect(publishCodec(formats, 'VP9')).toBeUndefined()
    expect(publishCodec([], undefined)).toBeUndefined()
  })
})

describe('addresses and names', () => {
  it('follow the page’s own', () => {
    expect(serverUrl({ protocol: 'https:', host: 'a.example' })).toBe('wss://a.example')
    expect(serverUrl({ protocol: 'http:', host: '10.0.0.1:7880' })).toBe('ws://10.0.0.1:7880')
  })
  it('are version 4 without the browser’s help', () => {
    expect(version4(new Uint8Array(16).fill(0xff))).toBe('ffffffff-ffff-4fff-bfff-ffffffffffff')
    expect(version4(new Uint8Array(16))).toBe('00000000-0000-4000-8000-000000000000')
  })
})
