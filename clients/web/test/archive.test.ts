import { describe, expect, it } from 'vitest'
import { badge } from '../src/archive/facts'
import { remembered } from '../src/archive/memory'
import { shift } from '../src/archive/sync'

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
