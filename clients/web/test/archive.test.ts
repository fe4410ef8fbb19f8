import { describe, expect, it } from 'vitest'
import { badge } from '../src/archive/facts'
import { remembered } from '../src/archive/memory'
import { correction, shift } from '../src/archive/sync'
import { choices, playable, screens } from '../src/archive/views'
import type { Entry, Source, View } from '../src/lib/api'

const view = (source: Source, hls: string | null = 'x.m3u8', webm: string | null = null): View => ({
  source,
  kind: 'video',
  codec: 'H264',
  width: 1280,
  height: 720,
  hls,
  webm,
})
const entry = (views: View[], audio: Entry['audio'] = null): Entry => ({
  id: 'i',
  lesson: 'l',
  title: 't',
  state: 'complete',
  started_at: 0,
  duration_s: 1,
  poster: null,
  bytes: 1,
  views,
  audio,
  downloads: [],
})

describe('views', () => {
  const [camera, slides] = [view('camera'), view('slides')]
  it('offers side by side where there are two pictures', () => {
    expect(choices([camera, slides])).toEqual(['camera', 'slides', 'both'])
    expect(choices([slides])).toEqual(['slides'])
    expect(choices([])).toEqual([])
  })
  it('lets slides lead side by side, and shows what there is otherwise', () => {
    expect(screens([camera, slides], 'both')).toEqual({ main: slides, second: camera })
    expect(screens([camera, slides], 'camera')).toEqual({ main: camera })
    expect(screens([camera], 'both')).toEqual({ main: camera })
    expect(screens([], 'both')).toEqual({})
  })
  it('does not offer a WebM that is not written yet', () => {
    expect(playable(entry([view('camera', null)], { codec: 'opus', hls: 'a.m3u8' }))).toEqual([])
    expect(playable(entry([view('camera', null, 'c.webm')]))).toHaveLength(1)
  })
  it('plays the voice of a lesson without pictures', () => {
    const voice = playable(entry([], { codec: 'opus', hls: 'a.m3u8' }))
    expect(screens(voice, 'camera').main?.hls).toBe('a.m3u8')
  })
})

describe('correction', () => {
  it('leaves a step of 50 ms alone', () => {
    expect(correction(10, 10.04, 1.5)).toEqual({ rate: 1.5 })
  })
  it('catches up by speed', () => {
    expect(correction(10, 9.8, 1).rate).toBeCloseTo(1.1)
    expect(correction(10, 10.2, 2).rate).toBeCloseTo(1.8)
  })
  it('jumps when far', () => {
    expect(correction(100, 10, 1)).toEqual({ seek: 100, rate: 1 })
  })
  it('brings half a second within 0.2 s in less than four seconds', () => {
    let [main, second] = [10, 9.5]
    for (let looks = 0; looks < 20; looks++) {
      second += 0.2 * correction(main, second, 1).rate
      main += 0.2
    }
    expect(Math.abs(main - second)).toBeLessThan(0.2)
  })
})

describe('shift', () => {
  it('turns a position of one source into the same moment of another', () => {
    expect(shift(5_000, 2_000)).toBe(3)
    expect(shift(undefined, 2_000)).toBe(0)
  })
})

describe('remembered', () => {
  it('puts the newest first, once', () => {
    expect(
      remembered(
        [
          ['a', 20],
          ['b', 30],
        ],
        'b',
        44.4,
        100,
      ),
    ).toEqual([
      ['b', 44],
      ['a', 20],
    ])
  })
  it('forgets a lesson that was barely begun or seen to its end', () => {
    expect(remembered([['a', 20]], 'a', 5, 100)).toEqual([])
    expect(remembered([['a', 20]], 'a', 95, 100)).toEqual([])
    expect(remembered([], 'a', 20, Number.NaN)).toEqual([])
  })
  it('stays small', () => {
    const many = Array.from({ length: 100 }, (_, n): [string, number] => [`l${n}`, 20])
    const after = remembered(many, 'new', 50, 100)
    expect(after).toHaveLength(100)
    expect(after[0]).toEqual(['new', 50])
  })
})

describe('badge', () => {
  it('is silent for a complete lesson', () => {
    expect(badge('complete')).toBeUndefined()
    expect(badge('degraded')).toBe('archive.degraded')
  })
})
