import { describe, expect, it } from 'vitest'
import { changesOf, formOf, tagsOf, tagsTrouble } from '../src/archive/edits'
import type { Entry } from '../src/lib/api'

const LESSON = {
  id: 'x',
  title: 'Fractions',
  school: 'Hilltop',
  tags: ['a', 'b'],
  notes: 'one\ntwo',
} as unknown as Entry

describe('an edit', () => {
  it('begins with what is there', () => {
    expect(formOf(LESSON)).toEqual({
      title: 'Fractions',
      school: 'Hilltop',
      subject: '',
      grade: '',
      teacher: '',
      series: '',
      tags: 'a, b',
      notes: 'one\ntwo',
    })
  })

  it('changes what is another, and nothing else', () => {
    const form = formOf(LESSON)
    expect(changesOf(LESSON, form)).toEqual({})
    expect(changesOf(LESSON, { ...form, school: '' })).toEqual({ school: '' })
    expect(changesOf(LESSON, { ...form, title: ' 分数 ', tags: 'b' })).toEqual({
      title: '分数',
      tags: ['b'],
    })
  })
})

describe('tags', () => {
  it('are parted by the commas of every script, and come once', () => {
    expect(tagsOf('a, b，分数、加法;; a')).toEqual(['a', 'b', '分数', '加法'])
    expect(tagsOf(' , ')).toEqual([])
  })

  it('are not too many or too long', () => {
    const tags = (count: number) => Array.from({ length: count }, (_, n) => `t${n}`).join()
    expect(tagsTrouble(tags(20))).toBeUndefined()
    expect(tagsTrouble(tags(21))?.key).toBe('edit.tooManyTags')
    expect(tagsTrouble('字'.repeat(40))).toBeUndefined()
    expect(tagsTrouble('字'.repeat(41))?.key).toBe('edit.tooManyTags')
  })
})
