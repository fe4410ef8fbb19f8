import { describe, expect, it } from 'vitest'
import { trackFor } from '../src/archive/captions'
import { chapters, neighbour } from '../src/archive/chapters'
import { command, type Press } from '../src/archive/keys'
import { liveness } from '../src/archive/live'
import { likesOf } from '../src/archive/memory'
import { linkTo, moment, seconds } from '../src/archive/moment'
import { nudged } from '../src/archive/seekbar'
import { plainTrouble, troubleOf } from '../src/archive/source'
import { isSpeed, stepped } from '../src/archive/speeds'
import { Stalls } from '../src/archive/stalls'
import { newest, talkOf } from '../src/archive/talk'
import { tileAt, tiles } from '../src/archive/thumbnails'
import { cueAt, cues } from '../src/archive/vtt'

describe('moment', () => {
  it('takes seconds, clocks and units, in the fragment first', () => {
    expect(moment({ hash: '#t=125', search: '' })).toBe(125)
    expect(moment({ hash: '', search: '?a=b&t=1.5' })).toBe(1.5)
    expect(moment({ hash: '#token=x&t=9', search: '?t=1' })).toBe(9)
    expect(seconds('1:02:03')).toBe(3723)
    expect(seconds('2:05')).toBe(125)
    expect(seconds('2m5s')).toBe(125)
    expect(seconds('1h')).toBe(3600)
  })
  it('takes nothing else', () => {
    for (const bad of ['', '-1', 'soon', '1e9x', ':5', 'h', 's', '1:2:3:4', '9'.repeat(40)])
      expect(seconds(bad), bad).toBeUndefined()
  })
  it('makes links that it reads', () => {
    const url = linkTo({ origin: 'https://a.cn', pathname: '/archive/x' }, 125.9)
    expect(url).toBe('https://a.cn/archive/x#t=125')
    expect(moment(new URL(url))).toBe(125)
  })
})

describe('cues', () => {
  const file = [
    'WEBVTT - made by hand',
    '',
    'NOTE nothing',
    '',
    'slide-2',
    '01:00.000 --> 02:00.500 align:start',
    'Second &amp; <b>bold</b> &lt;i&gt;',
    '',
    '00:00:01.000 --> 00:01:00.000',
    'First',
    'line two',
    '',
    '00:05.000 --> 00:04.000',
    'ends before it begins',
    '',
    'no times at all',
  ]
  it.each(['\n', '\r\n', '\r'])('are read whatever ends a line (%j)', (end) => {
    expect(cues(`\ufeff${file.join(end)}`)).toEqual([
      { id: '', start: 1, end: 60, text: 'First\nline two' },
      { id: 'slide-2', start: 60, end: 120.5, text: 'Second & bold <i>' },
    ])
  })
  it('are bounded, and hostile files are survived', () => {
    const many = 'a\n00:00.000 --> 00:01.000\nx\n\n'.repeat(30_000)
    expect(cues(many).length).toBeLessThanOrEqual(20_000)
    expect(cues('<'.repeat(100_000))).toEqual([])
    expect(cues('-->\n-->\n\n--> -->')).toEqual([])
  })
  it('are found by time', () => {
    const all = cues(file.join('\n'))
    expect(cueAt(all, 59.9)?.text).toContain('First')
    expect(cueAt(all, 60)?.id).toBe('slide-2')
    expect(cueAt(all, 0)).toBeUndefined()
    expect(cueAt(all, 121)).toBeUndefined()
  })
})

describe('tiles', () => {
  const base = 'https://node.cn/archive/x/media/thumbnails.vtt'
  const cue = (start: number, text: string) => ({ id: '', start, end: start + 10, text })
  it('are places in sprites beside the file', () => {
    const found = tiles([cue(0, 'sprite.jpg#xywh=160,90,160,90')], base)
    const url = 'https://node.cn/archive/x/media/sprite.jpg'
    expect(found).toEqual([{ start: 0, end: 10, url, x: 160, y: 90, width: 160, height: 90 }])
  })
  it('are not taken from elsewhere, nor from nonsense', () => {
    const bad = ['https://evil.cn/a.jpg#xywh=0,0,9,9', '//evil.cn/a.jpg#xywh=0,0,9,9', 'a.jpg', '']
    const worse = ['a.jpg#xywh=0,0,0,9', 'a b.jpg#xywh=0,0,9,9', 'javascript:1#xywh=0,0,9,9']
    expect(
      tiles(
        [...bad, ...worse].map((text) => cue(0, text)),
        base,
      ),
    ).toEqual([])
  })
  it('fill what is between them', () => {
    const all = tiles([cue(5, 'a.jpg#xywh=0,0,9,9'), cue(60, 'b.jpg#xywh=0,0,9,9')], base)
    expect(tileAt(all, 0)?.start).toBe(5)
    expect(tileAt(all, 30)?.start).toBe(5)
    expect(tileAt(all, 61)?.start).toBe(60)
    expect(tileAt([], 61)).toBeUndefined()
  })
})

describe('chapters', () => {
  const cue = (id: string, start: number, text: string) => ({ id, start, end: start + 1, text })
  const all = chapters(
    [cue('start', 0, 'x'), cue('slide-2', 60, 'x'), cue('intro', 90, 'Fractions')],
    600,
  )
  it('last until the next, and are named in the reader’s language where they can be', () => {
    expect(all.map(({ end }) => end)).toEqual([60, 90, 600])
    expect(all[0]?.name).toMatchObject({ key: 'replay.chapterStart' })
    expect(all[1]?.name).toMatchObject({ key: 'replay.chapterSlide', params: { n: '2' } })
    expect(all[2]?.name).toEqual({ words: 'Fractions' })
  })
  it('are walked through by the keyboard', () => {
    expect(neighbour(all, 10, 1)).toBe(60)
    expect(neighbour(all, 100, 1)).toBeUndefined()
    expect(neighbour(all, 80, -1)).toBe(60)
    expect(neighbour(all, 61, -1)).toBe(0)
  })
})

describe('command', () => {
  const press = (key: string, more: Partial<Press> = {}): Press => ({
    ...{ key, ctrlKey: false, altKey: false, metaKey: false, isComposing: false },
    ...more,
  })
  it('is what players are used to', () => {
    expect(command(press(' '), 'none')).toEqual({ name: 'toggle' })
    expect(command(press('K'), 'none')).toEqual({ name: 'toggle' })
    expect(command(press('j'), 'none')).toEqual({ name: 'skip', by: -10 })
    expect(command(press('ArrowRight'), 'none')).toEqual({ name: 'skip', by: 5 })
    expect(command(press('7'), 'none')).toEqual({ name: 'place', at: 0.7 })
    expect(command(press('>'), 'none')).toEqual({ name: 'speed', by: 1 })
    expect(command(press('constructor'), 'none')).toBeUndefined()
  })
  it('understands a Chinese keyboard', () => {
    expect(command(press('《'), 'none')).toEqual({ name: 'speed', by: -1 })
    expect(command(press('？'), 'none')).toEqual({ name: 'help' })
    expect(command(press('j', { isComposing: true }), 'none')).toBeUndefined()
  })
  it('leaves to others what is theirs', () => {
    expect(command(press(' '), 'button')).toBeUndefined()
    expect(command(press('m'), 'button')).toEqual({ name: 'mute' })
    expect(command(press('m'), 'text')).toBeUndefined()
    expect(command(press('ArrowLeft'), 'slider')).toBeUndefined()
    expect(command(press('c', { ctrlKey: true }), 'none')).toBeUndefined()
  })
})

describe('nudged', () => {
  it('moves the handle by what a lesson needs', () => {
    expect(nudged('ArrowRight', 10, 100)).toBe(15)
    expect(nudged('ArrowLeft', 2, 100)).toBe(0)
    expect(nudged('PageUp', 90, 100)).toBe(100)
    expect(nudged('Home', 90, 100)).toBe(0)
    expect(nudged('x', 90, 100)).toBeUndefined()
  })
})

describe('speeds', () => {
  it('go one step, and end', () => {
    expect(stepped(1, 1)).toBe(1.25)
    expect(stepped(0.5, -1)).toBe(0.5)
    expect(stepped(2, 1)).toBe(2)
    expect(isSpeed(1.5)).toBe(true)
    expect(isSpeed(3)).toBe(false)
  })
})

describe('likes', () => {
  it('are believed only as far as they make sense', () => {
    expect(likesOf({ view: 'pip', rate: 1.5, volume: 0.5, muted: false, captions: true })).toEqual({
      view: 'pip',
      rate: 1.5,
      volume: 0.5,
      muted: false,
      captions: true,
    })
    for (const bad of [null, 7, [], { view: 7, rate: 99, volume: -1, muted: 'no' }])
      expect(likesOf(bad)).toEqual({})
  })
})

describe('liveness', () => {
  it('is live near the newest moment, and says how far it is', () => {
    expect(liveness(95, 100)).toEqual({ live: true, behind: 0 })
    expect(liveness(40, 100)).toEqual({ live: false, behind: 60 })
  })
})

describe('Stalls', () => {
  it('speaks when waiting is no chance any more, and is quiet later', () => {
    const stalls = new Stalls()
    stalls.handle(true, 0)
    expect(stalls.weak(7_000)).toBe(false)
    expect(stalls.weak(8_000)).toBe(true)
    stalls.handle(false, 8_500)
    expect(stalls.weak(9_000)).toBe(true)
    expect(stalls.weak(70_000)).toBe(false)
  })
  it('adds up what comes again and again', () => {
    const stalls = new Stalls()
    for (const at of [0, 10_000, 20_000, 30_000]) {
      stalls.handle(true, at)
      stalls.handle(false, at + 2_000)
    }
    expect(stalls.weak(33_000)).toBe(true)
    stalls.forget()
    expect(stalls.weak(33_000)).toBe(false)
  })
})

describe('trouble', () => {
  it('is told apart by what helps', () => {
    expect(troubleOf('networkError', 'fragLoadError', 401)).toBe('denied')
    expect(troubleOf('networkError', 'fragLoadError', 404)).toBe('gone')
    expect(troubleOf('networkError', 'fragLoadTimeOut', undefined)).toBe('network')
    expect(troubleOf('networkError', 'fragLoadError', 503)).toBe('network')
    expect(troubleOf('networkError', 'manifestParsingError', 200)).toBe('codec')
    expect(troubleOf('mediaError', 'bufferAppendError', undefined)).toBe('codec')
    expect(plainTrouble({ code: 2 })).toBe('network')
    expect(plainTrouble({ code: 4 })).toBe('codec')
  })
})

describe('talk', () => {
  it('is what an archive says, tidied and in order', () => {
    const talk = talkOf([
      { t: 9, name: 'B', text: 'two' },
      { t: 1, name: 'A\u202e', text: ' one ', kind: 'note' },
      { t: -1, text: 'x' },
      { t: 'soon', text: 'x' },
      { t: 3, text: '' },
      null,
    ])
    expect(talk.map(({ text, kind }) => [text, kind])).toEqual([
      ['one', 'note'],
      ['two', 'chat'],
    ])
    expect(newest(talk, 0)).toBe(-1)
    expect(newest(talk, 5)).toBe(0)
    expect(talkOf('x')).toEqual([])
  })
})

describe('trackFor', () => {
  const track = (language: string) => ({ language, label: language, url: language })
  it('speaks the reader’s language if it can', () => {
    expect(trackFor([track('en'), track('zh-CN')], 'zh')?.language).toBe('zh-CN')
    expect(trackFor([track('en')], 'zh')?.language).toBe('en')
    expect(trackFor([], 'zh')).toBeUndefined()
  })
})
