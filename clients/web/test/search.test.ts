import { describe, expect, it } from 'vitest'
import { choicesOf, isNarrow, queryOf, wishOf } from '../src/archive/search'

describe('wishOf', () => {
  it('reads what queryOf writes', () => {
    const wish = {
      q: '分数 & more',
      chosen: { school: '山顶小学', language: 'zh-CN' },
      sort: 'longest',
    } as const
    expect(wishOf(`?${queryOf(wish)}`)).toEqual(wish)
  })
  it('leaves out what means nothing', () => {
    expect(wishOf('?sort=worst&school=&color=red')).toEqual({ q: '', chosen: {}, sort: 'best' })
  })
})

describe('queryOf', () => {
  it('says nothing that goes without saying', () => {
    expect(queryOf({ q: '  ', chosen: {}, sort: 'best' }).toString()).toBe('')
  })
})

describe('isNarrow', () => {
  it('is so with words or a filter, not with an order', () => {
    expect(isNarrow({ q: ' ', chosen: {}, sort: 'oldest' })).toBe(false)
    expect(isNarrow({ q: 'x', chosen: {}, sort: 'best' })).toBe(true)
    expect(isNarrow({ q: '', chosen: { grade: '4' }, sort: 'best' })).toBe(true)
  })
})

describe('choicesOf', () => {
  const counted = [{ value: 'a', count: 2 }]
  it('keeps the chosen value where nothing has it', () => {
    expect(choicesOf(counted, 'b')).toEqual([{ value: 'b', count: 0 }, ...counted])
    expect(choicesOf(counted, 'a')).toEqual(counted)
    expect(choicesOf(counted, undefined)).toEqual(counted)
  })
})
