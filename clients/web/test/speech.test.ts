import { beforeEach, describe, expect, it } from 'vitest'
import { type Booth, Speech } from '../src/join/speech'
import type { Tracks } from '../src/lib/devices'

const UP = { asks: true, speaks: false, allowed: true }
const FLOOR = { asks: false, speaks: true, allowed: true }
const NOTHING = { asks: false, speaks: false, allowed: false }

class Device {
  enabled = true
  stopped = false
  stop(): void {
    this.stopped = true
  }
}

class FakeBooth implements Booth {
  said: string[] = []
  camera = new Device()
  microphone = new Device()
  publishing = Promise.resolve()

  async open(): Promise<Tracks> {
    this.said.push('open')
    this.camera = new Device()
    this.microphone = new Device()
    return { camera: this.camera, microphone: this.microphone } as unknown as Tracks
  }
  publish(): Promise<void> {
    this.said.push(`publish ${this.camera.enabled ? 'bright' : 'dark'}`)
    return this.publishing
  }
  async unpublish(): Promise<void> {
    this.said.push('unpublish')
  }
}

const settled = () => new Promise((done) => setTimeout(done))

describe('Speech', () => {
  let booth: FakeBooth
  let speech: Speech

  beforeEach(() => {
    booth = new FakeBooth()
    speech = new Speech(booth, () => {})
  })

  it('is ready, dark and silent, while the hand is up', async () => {
    void speech.prepare()
    speech.handleFloor({ ...UP, allowed: false }) // the node has not said so yet
    await settled()
    expect(booth.said).toEqual(['open'])
    speech.handleFloor(UP)
    await settled()
    expect(booth.said).toEqual(['open', 'publish dark'])
    expect(booth.microphone.enabled).toBe(false)
  })

  it('is seen with the floor, and nothing is negotiated again', async () => {
    speech.handleFloor(UP)
    await settled()
    speech.handleFloor(FLOOR)
    await settled()
    expect([booth.camera.enabled, booth.microphone.enabled]).toEqual([true, true])
    expect(booth.said).toEqual(['open', 'publish dark'])
  })

  it('speaks without having asked', async () => {
    speech.handleFloor(FLOOR)
    await settled()
    expect(booth.said).toEqual(['open', 'publish bright'])
  })

  it('lets everything go with the hand or the floor', async () => {
    speech.handleFloor(UP)
    await settled()
    const { camera } = booth
    speech.handleFloor(NOTHING)
    await settled()
    expect(booth.said).toEqual(['open', 'publish dark', 'unpublish'])
    expect(camera.stopped).toBe(true)
    speech.handleFloor(UP)
    await settled()
    expect(booth.said.slice(3)).toEqual(['open', 'publish dark'])
  })

  it('does one thing at a time, and ends with the last wish', async () => {
    let published = () => {}
    booth.publishing = new Promise((done) => {
      published = done
    })
    speech.handleFloor(UP)
    await settled()
    speech.handleFloor(NOTHING)
    await settled()
    expect(booth.said).toEqual(['open', 'publish dark'])
    published()
    await settled()
    expect(booth.said).toEqual(['open', 'publish dark', 'unpublish'])
  })
})
