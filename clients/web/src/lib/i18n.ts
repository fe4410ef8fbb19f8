/** English and Chinese: chosen by the browser, switched by hand, remembered. */
import { en } from './en'
import { zh } from './zh'

export type Key = keyof typeof en
export type Language = 'en' | 'zh'
export type Params = Readonly<Record<string, string | number>>

export const tables: Readonly<Record<Language, Readonly<Record<Key, string>>>> = { en, zh }

const STORE = 'tongbu.language'
const listeners = new Set<() => void>()
let current: Language = 'en'

/** The remembered language, or the first of the browser's that the pages speak. */
export function choose(saved: string | null, preferred: readonly string[]): Language {
  if (saved === 'en' || saved === 'zh') return saved
  const known = preferred.map((tag) => tag.toLowerCase().split('-')[0])
  return known.find((tag): tag is Language => tag === 'en' || tag === 'zh') ?? 'en'
}

/** Fills `{name}` in a sentence; a missing parameter is left visible. */
export function fill(sentence: string, params: Params = {}): string {
  return sentence.replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole))
}

export function t(key: Key, params?: Params): string {
  return fill(tables[current][key], params)
}

export function isKey(text: string): text is Key {
  return Object.hasOwn(en, text)
}

export function language(): Language {
  return current
}

/** The BCP 47 tag for dates and numbers. */
export function locale(): string {
  return current === 'zh' ? 'zh-CN' : 'en'
}

export function startLanguage(): void {
  apply(choose(localStorage.getItem(STORE), navigator.languages))
}

export function switchLanguage(): void {
  apply(current === 'en' ? 'zh' : 'en')
  localStorage.setItem(STORE, current)
}

/** Calls back after each switch, for text that `say` cannot redo by itself (dates, lists). */
export function onLanguage(listener: () => void): void {
  listeners.add(listener)
}

function apply(next: Language): void {
  current = next
  document.documentElement.lang = locale()
  for (const listener of listeners) listener()
}
