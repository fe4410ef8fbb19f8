import { describe, expect, it } from 'vitest'
import { Follower } from '../src/archive/sync'
import { choices, firstChoice, following, plan, playable, voice } from '../src/archive/views'
import type { Entry, View } from '../src/lib/api'

const view = (
  source: string,
  hls: string | null = `${source}.m3u8`,
  webm: string | null = null,
) => {
  const made: View = { source, kind: 'video', codec: 'H264', width: 1280, height: 720, hls, webm }
  return made
}
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
const AUDIO = { codec: 'opus', hls: 'audio.m3u8' }
const [camera, slides, floor] = [view('camera'), view('slides'), view('floor')]
const sound = voice(entry([], AUDIO))

describe('choices', () => {
  it('offers two pictures together, each alone, and less for weak links', () => {
    const all = ['both', 'pip', 'slides', 'camera', 'light', 'voice']
    expect(choices([slides, camera], sound)).toEqual(all)
    expect(choices([camera], sound)).toEqual(['camera', 'voice'])
    expect(choices([slides], undefined)).toEqual(['slides'])
    expect(choices([], sound)).toEqual(['voice'])
    expect(choices([], undefined)).toEqual([])
  })
  it('knows every picture that can be played, slides first', () => {
    const unwritten = view('slides', null)
    expect(playable(entry([floor, camera, slides]))).toEqual([slides, camera, floor])
    expect(playable(entry([camera, unwritten]))).toEqual([camera])
    expect(playable(entry([view('camera', null, 'c.webm')]))).toHaveLength(1)
    expect(choices([slides, camera, floor], sound)).toContain('floor')
    expect(voice(entry([unwritten], AUDIO))).toBeUndefined()
    expect(voice(entry([unwritten, camera], AUDIO))).toEqual(sound)
  })
})

describe('plan', () => {
  it('lets slides lead, and the voice where pictures may wait', () => {
    expect(plan([slides, camera], sound, 'both')).toEqual({
      lead: slides,
      second: camera,
      layout: 'both',
    })
    expect(plan([slides, camera], sound, 'pip')?.layout).toBe('pip')
    expect(plan([slides, camera], sound, 'camera')).toEqual({ lead: camera, layout: 'one' })
    expect(plan([slides, camera], sound, 'light')).toEqual({
      lead: sound,
      second: slides,
      layout: 'one',
    })
    expect(plan([slides, camera], sound, 'voice')).toEqual({ lead: sound, layout: 'voice' })
  })
  it('shows what comes nearest to what a lesson does not have', () => {
    expect(plan([camera], undefined, 'pip')).toEqual({ lead: camera, layout: 'one' })
    expect(plan([camera], undefined, 'slides')).toEqual({ lead: camera, layout: 'one' })
    expect(plan([], sound, 'both')).toEqual({ lead: sound, layout: 'voice' })
    expect(plan([], undefined, 'both')).toBeUndefined()
  })
})

describe('firstChoice', () => {
  const possible = ['both', 'pip', 'slides', 'camera', 'light', 'voice']
  const wide = { remembered: undefined, narrow: false, weak: false }
  it('is what one chose the last time, where the lesson has it', () => {
    expect(firstChoice(possible, { ...wide, remembered: 'camera', weak: true })).toBe('camera')
    expect(firstChoice(['camera', 'voice'], { ...wide, remembered: 'pip' })).toBe('camera')
  })
  it('suits the screen and the link', () => {
    expect(firstChoice(possible, wide)).toBe('both')
    expect(firstChoice(possible, { ...wide, narrow: true })).toBe('pip')
    expect(firstChoice(possible, { ...wide, weak: true })).toBe('light')
    expect(firstChoice([], wide)).toBeUndefined()
  })
  it('goes around by the keyboard', () => {
    expect(following(['a', 'b'], 'b')).toBe('a')
    expect(following(['a', 'b'], undefined)).toBe('a')
    expect(following([], 'a')).toBeUndefined()
  })
})

describe('Follower', () => {
  const look = (main: number, second: number, more = {}) => ({
    ...{ main, second, rate: 1, still: false, seeking: false },
    ...more,
  })
  it('leaves a step of 50 ms alone', () => {
    expect(new Follower().look(look(10, 10.04, { rate: 1.5 }), 0)).toEqual({
      rate: 1.5,
      hold: false,
    })
  })
  it('catches up by speed', () => {
    expect(new Follower().look(look(10, 9.8), 0).rate).toBeCloseTo(1.1)
    expect(new Follower().look(look(10, 10.2, { rate: 2 }), 0).rate).toBeCloseTo(1.8)
  })
  it('jumps when far', () => {
    expect(new Follower().look(look(100, 10), 0)).toEqual({ seek: 100, rate: 1, hold: false })
  })
  it('stands on the same picture when the first one stands, and is sent there once', () => {
    const follower = new Follower()
    expect(follower.look(look(10, 10.04, { still: true }), 0).seek).toBe(10)
    expect(follower.look(look(10, 10.03, { still: true }), 1).seek).toBeUndefined()
    expect(follower.look(look(11, 10.03, { still: true }), 2).seek).toBe(11)
  })
  it('aims ahead on a slow link, and waits there for the first one', () => {
    const follower = new Follower()
    expect(follower.look(look(100, 10), 0).seek).toBe(100)
    expect(follower.look(look(103, 100, { seeking: true }), 3).seek).toBeUndefined()
    const second = follower.look(look(104, 100), 4)
    expect(second).toMatchObject({ seek: 108, hold: true })
    expect(follower.look(look(105, 108), 5)).toMatchObject({ hold: true })
    expect(follower.look(look(108, 108), 8)).toEqual({ rate: 1, hold: false })
  })
  it('brings half a second within 0.1 s in less than five seconds', () => {
    const follower = new Follower()
    let [main, second] = [10, 9.5]
    for (let looks = 0; looks < 25; looks++) {
      second += 0.2 * follower.look(look(main, second), looks / 5).rate
      main += 0.2
    }
    expect(Math.abs(main - second)).toBeLessThan(0.1)
  })
})
