import { describe, expect, it } from 'vitest'
import { claims, fragmentToken } from '../src/lib/auth'

const token = (payload: unknown) => {
  const bytes = new TextEncoder().encode(JSON.stringify(payload))
  const body = btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=+$/, '')
  return `head.${body}.signature`
}

describe('fragmentToken', () => {
  it('takes the token of the link', () => {
    expect(fragmentToken('#token=a.b.c')).toBe('a.b.c')
    expect(fragmentToken('#x=1&token=a-_.b.c')).toBe('a-_.b.c')
    expect(fragmentToken('')).toBeUndefined()
  })
})

describe('claims', () => {
  it('reads name, room and end, in any script', () => {
    const made = token({
      name: '李老师 ~ü?>',
      exp: 1800000000,
      video: { room: '数学', roomJoin: true },
    })
    expect(claims(made)).toEqual({ name: '李老师 ~ü?>', room: '数学', expires: 1800000000 })
  })
  it('reads nothing from what is no token', () => {
    for (const bad of ['', 'abc', 'a.b.c', 'a.!!.c', token(null)])
      expect(claims(bad)).toBeUndefined()
    expect(claims(token({ exp: 'soon', video: 7 }))).toEqual({})
  })
})
