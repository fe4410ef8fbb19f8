import { describe, expect, it } from 'vitest'
import { isLessonName, joinPath, lessonName, pathName } from '../src/lib/lesson'
import { clock, span } from '../src/lib/time'

describe('clock', () => {
  it.each([
    [0, '0:00'],
    [5.9, '0:05'],
    [754, '12:34'],
    [3723, '1:02:03'],
    [-3, '0:00'],
  ])('%d s is %s', (seconds, text) => expect(clock(seconds)).toBe(text))
})

describe('span', () => {
  it('speaks of seconds, then of minutes', () => {
    expect(span(12.3)).toEqual({ unit: 'seconds', n: 12 })
    expect(span(89)).toEqual({ unit: 'seconds', n: 89 })
    expect(span(2710)).toEqual({ unit: 'minutes', n: 45 })
  })
})

describe('lesson names', () => {
  it('are letters of any script, digits, - and _', () => {
    for (const good of ['math', '数学_5-a', 'Élan', 'x'.repeat(64)])
      expect(isLessonName(good)).toBe(true)
    for (const bad of ['', 'a b', 'a/b', '../x', 'x'.repeat(65)])
      expect(isLessonName(bad)).toBe(false)
  })
  it('are made of what a teacher types', () => {
    expect(lessonName('  Maths 5a: fractions! ')).toBe('Maths-5a-fractions')
    expect(lessonName('数学　二次函数')).toBe('数学-二次函数')
    expect(lessonName('!?')).toBe('')
    expect(lessonName('x'.repeat(80))).toHaveLength(64)
  })
  it('survive the way through an address', () => {
    expect(pathName(joinPath('数学'))).toBe('数学')
    expect(pathName('/archive')).toBe('')
    expect(pathName('/join/%E6%9')).toBe('%E6%9')
  })
})
