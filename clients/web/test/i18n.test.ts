import { describe, expect, it } from 'vitest'
import { en } from '../src/lib/en'
import { choose, fill, isKey, type Key, tables } from '../src/lib/i18n'
import { zh } from '../src/lib/zh'

const keys = Object.keys(en) as Key[]
// Vite reads these options from the source, so they are written out twice.
const pages = Object.values(
  import.meta.glob<string>('../*.html', { query: '?raw', import: 'default', eager: true }),
)
const sources = Object.values(
  import.meta.glob<string>(['../src/**/*.ts', '!../src/lib/{en,zh}.ts'], {
    query: '?raw',
    import: 'default',
    eager: true,
  }),
)

describe('the tables', () => {
  it('are read with all pages and sources', () => {
    expect(pages).toHaveLength(3)
    expect(sources.length).toBeGreaterThan(20)
  })

  it('hold the same keys, and no empty sentence', () => {
    expect(Object.keys(zh).sort()).toEqual([...keys].sort())
    for (const table of Object.values(tables))
      for (const key of keys) expect(table[key].trim(), key).not.toBe('')
  })

  it('use the same parameters in both languages', () => {
    const parameters = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort()
    // English counts one school in words.
    for (const key of keys.filter((key) => key !== 'teach.schools.one'))
      expect(parameters(zh[key]), key).toEqual(parameters(en[key]))
  })

  it('leave nothing untranslated', () => {
    const shared = keys.filter((key) => en[key] === zh[key])
    expect(shared.every((key) => /^[^a-z]*$/i.test(en[key].replace(/\{\w+\}/g, '')))).toBe(true)
  })

  it('know every key the pages name', () => {
    for (const page of pages)
      for (const [, key = ''] of page.matchAll(/data-i18n(?:-label|-placeholder)?="([^"]+)"/g))
        expect(isKey(key), key).toBe(true)
  })

  it('hold the words the pages show before their script runs', () => {
    for (const page of pages)
      for (const [, key = '', text] of page.matchAll(/data-i18n="([^"]+)"[^>]*>([^<]+)</g))
        expect(text, key).toBe(en[key as Key])
  })

  it('hold no sentence that nothing says', () => {
    const text = [...pages, ...sources].join('\n')
    const families = [...text.matchAll(/`(\w+)\.\$\{/g)].map(([, family]) => `${family}.`)
    const said = (key: string) =>
      text.includes(`'${key}'`) ||
      text.includes(`"${key}"`) ||
      families.some((f) => key.startsWith(f))
    expect(keys.filter((key) => !said(key))).toEqual([])
  })
})

describe('choose', () => {
  it('prefers what was switched by hand', () => {
    expect(choose('zh', ['en-US'])).toBe('zh')
  })
  it('takes the first language it speaks', () => {
    expect(choose(null, ['fr-FR', 'zh-Hant-TW', 'en'])).toBe('zh')
    expect(choose(null, ['en-GB', 'zh-CN'])).toBe('en')
  })
  it('falls back to English', () => {
    expect(choose('klingon', ['fr'])).toBe('en')
    expect(choose(null, [])).toBe('en')
  })
})

describe('fill', () => {
  it('puts parameters in and leaves unknown ones visible', () => {
    expect(fill('{n} of {all}', { n: 3 })).toBe('3 of {all}')
  })
})
