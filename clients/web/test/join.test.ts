import { describe, expect, it } from 'vitest'
import { Pause } from '../src/join/pause'
import { setPlayout } from '../src/join/playout'
import { SlidesPresence } from '../src/join/presence'

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
  it('keeps the last page while the node sends none for want of room', () => {
    const slides = new SlidesPresence()
    slides.handleFrame(0)
    slides.handleMuted(1000)
    expect(slides.visible(60_000, true)).toBe(true)
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

describe('Pause', () => {
  const playing = (until: number) => {
    const camera = new Pause()
    for (let now = 0; now <= until; now += 40) camera.handleFrame(now)
    return camera
  }
  it('says nothing about a picture that is only still', () => {
    expect(playing(1000).visible(60_000)).toBe(false)
  })
  it('waits until what is in the jitter buffer has been shown', () => {
    const camera = playing(1000)
    camera.handleState('paused', 1000)
    for (let now = 1040; now <= 2000; now += 40) {
      camera.handleFrame(now)
      expect(camera.visible(now)).toBe(false)
    }
    expect(camera.visible(2500)).toBe(false)
    expect(camera.visible(2501)).toBe(true)
  })
  it('speaks at once when there was no picture yet', () => {
    const camera = new Pause()
    camera.handleState('paused', 0)
    expect(camera.visible(0)).toBe(true)
  })
  it('speaks after the longest buffer, where a browser cannot tell frames', () => {
    const camera = playing(1000)
    camera.handleState('paused', 1000)
    for (let now = 1040; now <= 5040; now += 40) camera.handleFrame(now)
    expect(camera.visible(5040)).toBe(true)
  })
  it('stays until the first new frame, so that no frozen picture is seen', () => {
    const camera = playing(1000)
    camera.handleState('paused', 1000)
    camera.handleState('playing', 9000)
    expect(camera.visible(10_000)).toBe(true)
    camera.handleFrame(10_100)
    expect(camera.visible(10_100)).toBe(false)
    expect(camera.visible(60_000)).toBe(false)
  })
  it('does not blame the line for a picture that does not come though it may', () => {
    const camera = playing(1000)
    camera.handleState('paused', 1000)
    camera.handleState('playing', 9000)
    expect(camera.visible(14_000)).toBe(true)
    expect(camera.visible(14_001)).toBe(false)
  })
  it('takes the last word, and repeated ones as one', () => {
    const camera = playing(1000)
    camera.handleState('playing', 1000)
    camera.handleState('paused', 2000)
    camera.handleState('paused', 3000)
    camera.handleState('playing', 4000)
    camera.handleState('paused', 4100)
    camera.handleFrame(4200)
    expect(camera.visible(5000)).toBe(true)
  })
  it('ends with the call', () => {
    const camera = playing(1000)
    camera.handleState('paused', 1000)
    camera.handleNewTrack()
    expect(camera.visible(9000)).toBe(false)
  })
})

describe('setPlayout', () => {
  it('lets sound and pictures wait alike, and passes over browsers that cannot', () => {
    const [voice, camera, old] = [{ jitterBufferTarget: null }, { jitterBufferTarget: null }, {}]
    const receivers = [voice, camera, old] as unknown as RTCRtpReceiver[]
    setPlayout(receivers, 1.0499)
    expect([voice, camera, old]).toEqual([
      { jitterBufferTarget: 1050 },
      { jitterBufferTarget: 1050 },
      {},
    ])
    setPlayout(receivers, 0)
    expect(voice.jitterBufferTarget).toBe(0)
  })
})
