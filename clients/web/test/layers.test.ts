import { describe, expect, it } from 'vitest'
import { addCamera, cameraEncodings, type Encoding, fitCamera } from '../src/teach/layers'

const shape = (encodings: readonly Encoding[]) =>
  encodings.filter((one) => one.active).map((one) => [one.rid, one.scaleResolutionDownBy])
const hd = { width: 1280, height: 720 }
const vga = { width: 640, height: 480 }

describe('cameraEncodings', () => {
  it('name three sizes from small to large, each worth more than the one below', () => {
    const offered = cameraEncodings(hd)
    expect(shape(offered)).toEqual([
      ['q', 4],
      ['h', 2],
      ['f', 1],
    ])
    const rates = offered.map((one) => one.maxBitrate ?? 0)
    expect(rates).toEqual([...rates].sort((a, b) => a - b))
    expect(rates.at(-1)).toBe(1_800_000)
  })
  it('make each of them simulcast in VP9 too, by a mode with one spatial layer', () => {
    for (const one of cameraEncodings(hd)) expect(one.scalabilityMode).toBe('L1T2')
  })
  it('take a camera of unknown size for a large one', () => {
    expect(cameraEncodings(undefined)).toEqual(cameraEncodings(hd))
    expect(cameraEncodings({})).toEqual(cameraEncodings(hd))
  })
  it('keep the whole picture of a small camera, of which libwebrtc would leave out the largest', () => {
    expect(shape(cameraEncodings(vga))).toEqual([
      ['q', 2],
      ['h', 1],
    ])
    expect(shape(cameraEncodings({ width: 320, height: 240 }))).toEqual([['q', 1]])
  })
  it('offer all three names whatever the size, for a larger camera that comes later', () => {
    expect(cameraEncodings(vga).map((one) => one.rid)).toEqual(['q', 'h', 'f'])
  })
  it('look at pixels, so that a telephone held upright has as many sizes', () => {
    expect(cameraEncodings({ width: 720, height: 1280 })).toEqual(cameraEncodings(hd))
  })
})

describe('fitCamera', () => {
  it('follows a camera to another size, and back', () => {
    const small = fitCamera(cameraEncodings(hd), vga, 'video/H264')
    expect(small).toEqual(cameraEncodings(vga))
    expect(fitCamera(small, hd, 'video/H264')).toEqual(cameraEncodings(hd))
  })
  it('keeps what the browser added', () => {
    const [first] = fitCamera([{ priority: 'low' as const }], hd, 'video/VP8')
    expect(first?.priority).toBe('low')
  })
  it('sends the whole picture to a node that turned simulcast down', () => {
    const left = cameraEncodings(hd).slice(0, 1)
    expect(fitCamera(left, hd, 'video/H264')).toMatchObject([
      { rid: 'q', active: true, scaleResolutionDownBy: 1, maxBitrate: 1_800_000 },
    ])
  })
  it('sends one size in VP9 and AV1 where the browser knows no modes', () => {
    const without = cameraEncodings(hd).map(({ scalabilityMode: _, ...one }) => one)
    for (const codec of ['video/VP9', 'video/AV1'])
      expect(shape(fitCamera(without, hd, codec))).toEqual([['q', 1]])
    for (const codec of ['video/H264', 'video/VP8', undefined])
      expect(shape(fitCamera(without, hd, codec))).toHaveLength(3)
    expect(shape(fitCamera(cameraEncodings(hd), hd, 'video/VP9'))).toHaveLength(3)
  })
})

describe('addCamera', () => {
  it('offers three sizes', () => {
    expect(addCamera(vga, (encodings) => encodings)).toEqual(cameraEncodings(vga))
  })
  it('offers one stream without a name to a browser that refuses three', () => {
    const one = addCamera(hd, (encodings) => {
      if (encodings.length > 1) throw new DOMException('no simulcast', 'OperationError')
      return encodings
    })
    expect(one).toEqual([
      { active: true, scaleResolutionDownBy: 1, maxBitrate: 1_800_000, maxFramerate: 30 },
    ])
  })
  it('does not hide an error that has nothing to do with sizes', () => {
    const closed = () => {
      throw new DOMException('closed', 'InvalidStateError')
    }
    expect(() => addCamera(hd, closed)).toThrow('closed')
  })
})
