import { describe, expect, it } from 'vitest'
import { backoff, politeWait } from '../src/lib/backoff'
import { HttpError, retryAfter } from '../src/lib/http'
import { judgeSchool, judgeTeacher } from '../src/lib/judge'
import { NoPath } from '../src/lib/link'
import { deviceSentence, NoCodec, sentence } from '../src/lib/sentences'

const http = (status: number, after?: number) => new HttpError(status, 'why', after)
const unreachable = new TypeError('fetch failed')

describe('backoff', () => {
  it('doubles to ten seconds, and half of it is chance', () => {
    expect([0, 1, 2, 3, 4, 5, 60].map((n) => backoff(n, 1))).toEqual([
      500, 1000, 2000, 4000, 8000, 10_000, 10_000,
    ])
    expect(backoff(3, 0)).toBe(2000)
  })
})

describe('politeWait', () => {
  it('follows Retry-After between one and thirty seconds', () => {
    expect(politeWait(5, 0)).toBe(5000)
    expect(politeWait(undefined, 0)).toBe(2000)
    expect(politeWait(0, 0)).toBe(1000)
    expect(politeWait(3600, 1)).toBe(30_500)
  })
})

describe('retryAfter', () => {
  it('reads seconds, and nothing from a date', () => {
    expect(retryAfter(new Headers({ 'Retry-After': ' 7 ' }))).toBe(7)
    expect(
      retryAfter(new Headers({ 'Retry-After': 'Wed, 21 Oct 2026 07:28:00 GMT' })),
    ).toBeUndefined()
    expect(retryAfter(new Headers())).toBeUndefined()
  })
})

describe('a school', () => {
  it('waits for the teacher as long as the node says', () => {
    expect(judgeSchool(http(409, 3), false, 0)).toEqual({ state: 'waiting', afterMs: 3000 })
    expect(judgeSchool(http(404), false, 0)).toEqual({ state: 'waiting', afterMs: 2000 })
  })
  it('knows a lesson is over when it was there before', () => {
    expect(judgeSchool(http(409, 3), true, 0)).toEqual({ state: 'ended', afterMs: 10_000 })
  })
  it('tries again for ever when nobody answers', () => {
    for (const error of [unreachable, http(503), new NoPath()]) {
      expect(judgeSchool(error, true, 0)).toEqual({ state: 'reconnecting' })
      expect(judgeSchool(error, false, 0)).toEqual({ state: 'connecting' })
    }
  })
  it('stops at a refusal', () => {
    for (const status of [400, 401, 403, 413])
      expect(judgeSchool(http(status), true, 0).state).toBe('error')
    expect(judgeSchool(new Error('a bug'), false, 0).state).toBe('error')
  })
})

describe('a teacher', () => {
  it('gives the own old session time to be let go', () => {
    expect(judgeTeacher(http(409), true, 50)).toEqual({ state: 'reconnecting' })
    expect(judgeTeacher(http(409), false, 2)).toEqual({ state: 'connecting' })
  })
  it('hears that somebody else teaches this lesson', () => {
    expect(judgeTeacher(http(409), false, 6)).toEqual({ state: 'error' })
  })
  it('hears soon when the start cannot work, and never gives up a running lesson', () => {
    expect(judgeTeacher(unreachable, false, 3)).toEqual({ state: 'error' })
    expect(judgeTeacher(unreachable, true, 99)).toEqual({ state: 'reconnecting' })
    expect(judgeTeacher(http(401), true, 0)).toEqual({ state: 'error' })
  })
})

describe('sentences', () => {
  it('say what happened', () => {
    expect(sentence(http(401)).key).toBe('error.expired')
    expect(sentence(http(403)).key).toBe('error.forbidden')
    expect(sentence(http(409)).key).toBe('error.taken')
    expect(sentence(http(413))).toEqual({ key: 'error.refused', params: { reason: 'why' } })
    expect(sentence(http(502)).key).toBe('error.server')
    expect(sentence(unreachable).key).toBe('error.offline')
    expect(sentence(new NoPath()).key).toBe('error.noPath')
    expect(sentence(new NoCodec('AV1'))).toEqual({ key: 'error.codec', params: { codec: 'AV1' } })
    expect(sentence(new RangeError()).key).toBe('error.unknown')
  })
  it('name the device that fails', () => {
    expect(deviceSentence('NotAllowedError', 'camera')).toBe('error.refusedDevices')
    expect(deviceSentence('NotReadableError', 'camera')).toBe('error.busyDevices')
    expect(deviceSentence('NotFoundError', 'camera')).toBe('error.noCamera')
    expect(deviceSentence('OverconstrainedError', 'microphone')).toBe('error.noMicrophone')
  })
})
