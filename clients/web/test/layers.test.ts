import { describe, expect, it, vi } from 'vitest'
import { cameraOptions, halve } from '../src/lib/layers'

const sizes = (size: { width?: number; height?: number } | undefined) => {
  const { videoSimulcastLayers = [], videoEncoding } = cameraOptions(size)
  const smaller = videoSimulcastLayers.map(({ width, height, encoding }) => [
    width,
    height,
    encoding.maxBitrate,
  ])
  return [...smaller, videoEncoding?.maxBitrate]
}

describe('cameraOptions', () => {
  it('name three sizes from small to large, each worth more than the one below', () => {
    expect(sizes({ width: 1280, height: 720 })).toEqual([
      [320, 180, 150_000],
      [640, 360, 500_000],
      1_800_000,
    ])
  })
  it('take a camera of unknown size for a large one', () => {
    expect(sizes(undefined)).toEqual(sizes({ width: 1280, height: 720 }))
    expect(sizes({})).toEqual(sizes({ width: 1280, height: 720 }))
  })
  it('give a small camera fewer', () => {
    expect(sizes({ width: 640, height: 480 })).toEqual([[320, 240, 150_000], 800_000])
    expect(sizes({ width: 320, height: 240 })).toEqual([300_000])
    expect(cameraOptions({ width: 320, height: 240 }).simulcast).toBe(false)
  })
  it('look at the longer side, so that a telephone held upright has as many', () => {
    expect(cameraOptions({ width: 720, height: 1280 }).videoSimulcastLayers).toHaveLength(2)
  })
  it('are simulcast in VP9 too, by a mode with one spatial layer', () => {
    expect(cameraOptions().scalabilityMode).toBe('L1T2')
  })
})

describe('halve', () => {
  it('lets every second picture be left out where nothing else was agreed', async () => {
    const parameters = { encodings: [{ rid: 'q' }, { rid: 'h', scalabilityMode: 'L1T3' }] }
    const setParameters = vi.fn(async () => {})
    const sender = { getParameters: () => parameters, setParameters } as unknown as RTCRtpSender
    await halve(sender)
    expect(setParameters).toHaveBeenCalledWith({
      encodings: [
        { rid: 'q', scalabilityMode: 'L1T2' },
        { rid: 'h', scalabilityMode: 'L1T3' },
      ],
    })
  })
  it('goes on with a browser that refuses', async () => {
    const sender = {
      getParameters: () => ({ encodings: [{}] }),
      setParameters: () => Promise.reject(new Error('no')),
    } as unknown as RTCRtpSender
    await expect(halve(sender)).resolves.toBeUndefined()
    await expect(halve(undefined)).resolves.toBeUndefined()
  })
})
