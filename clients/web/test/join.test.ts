import { describe, expect, it } from 'vitest'
import { SlidesPresence } from '../src/join/presence'
import { parseSignal } from '../src/lib/signals'

describe('SlidesPresence', () => {
  it('shows slides with their first frame', () => {
    const slides = new SlidesPresence()
    expect(slides.visible(0)).toBe(false)
    slides.handleFrame(10)
    expect(slides.visible(10)).toBe(true)
  })
  it('keeps a still page for as long as it stands', () => {
    const slides = new SlidesPresence()
    slides.handleFrame(0)
    expect(slides.visible(3_600_000)).toBe(true)
  })
  it('hides them when the track stays muted for more than five seconds', () => {
    const slides = new SlidesPresence()
    slides.handleFrame(0)
    slides.handleMuted(1000)
    slides.handleMuted(4000)
    expect(slides.visible(6000)).toBe(true)
    expect(slides.visible(6001)).toBe(false)
    slides.handleFrame(7000)
    expect(slides.visible(7000)).toBe(true)
  })
  it('forgives a short mute', () => {
    const slides = new SlidesPresence()
    slides.handleFrame(0)
    slides.handleMuted(1000)
    slides.handleUnmuted()
    expect(slides.visible(60_000)).toBe(true)
  })
  it('hides them when the node no longer lists them, unless frames say otherwise', () => {
    const slides = new SlidesPresence()
    slides.handleFrame(10_000)
    slides.handleUnlisted(11_000)
    expect(slides.visible(11_000)).toBe(true)
    slides.handleUnlisted(13_001)
    expect(slides.visible(13_001)).toBe(false)
  })
  it('hides them at once when the teacher stops sharing', () => {
    const slides = new SlidesPresence()
    slides.handleFrame(0)
    slides.handleShared(false, 1)
    expect(slides.visible(1)).toBe(false)
  })
  it('is not fooled by frames that were under way at the stop', () => {
    const slides = new SlidesPresence()
    slides.handleFrame(0)
    slides.handleShared(false, 1000)
    slides.handleFrame(1200)
    expect(slides.visible(1200)).toBe(false)
    slides.handleFrame(3000)
    expect(slides.visible(3000)).toBe(true)
  })
  it('shows the screen again as soon as it is shared again', () => {
    const slides = new SlidesPresence()
    slides.handleFrame(0)
    slides.handleShared(false, 1000)
    slides.handleShared(true, 1100)
    slides.handleFrame(1200)
    expect(slides.visible(1200)).toBe(true)
  })
  it('waits for the first frame of a new call', () => {
    const slides = new SlidesPresence()
    slides.handleFrame(0)
    slides.handleNewTrack()
    expect(slides.visible(1)).toBe(false)
  })
})

describe('parseSignal', () => {
  it('knows the bell and the switches', () => {
    expect(parseSignal('{"type":"ended"}')).toEqual({ type: 'ended' })
    const switches = { type: 'switches', camera: false, slides: true }
    expect(parseSignal(JSON.stringify({ ...switches, more: 1 }))).toEqual(switches)
  })
  it('ignores what it does not know', () => {
    for (const other of [
      '',
      'hello',
      '7',
      'null',
      '{}',
      '{"type":"chat"}',
      '{"type":"switches","camera":1}',
    ])
      expect(parseSignal(other)).toBeUndefined()
    expect(parseSignal(new ArrayBuffer(2))).toBeUndefined()
  })
})
