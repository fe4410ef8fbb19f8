import { describe, expect, it } from 'vitest'
import { loudness } from '../src/teach/meter'

const tone = (peak: number) => Float32Array.from({ length: 1024 }, (_, n) => peak * Math.sin(n / 5))

describe('loudness', () => {
  it('is 0 for silence and 100 for a shout', () => {
    expect(loudness(new Float32Array(1024))).toBe(0)
    expect(loudness(new Float32Array())).toBe(0)
    expect(loudness(tone(1))).toBe(100)
  })
  it('shows speech in the middle, as ears do', () => {
    expect(loudness(tone(0.05))).toBeGreaterThan(40)
    expect(loudness(tone(0.05))).toBeLessThan(70)
  })
})
