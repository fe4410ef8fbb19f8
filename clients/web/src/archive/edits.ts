/** What of a lesson may be changed, and what a form changes of it. Pure. */
import type { Entry } from '../lib/api'
import type { Sentence } from '../lib/sentences'

export const FIELDS = [
  'title',
  'school',
  'subject',
  'grade',
  'teacher',
  'series',
  'tags',
  'notes',
] as const
export type Field = (typeof FIELDS)[number]
export type Form = Readonly<Record<Field, string>>
export type Changes = Partial<Record<Exclude<Field, 'tags'>, string> & { tags: string[] }>

/** Characters, as the node counts them. */
export const LONGEST: Readonly<Record<Exclude<Field, 'tags'>, number>> = {
  title: 200,
  school: 100,
  subject: 100,
  grade: 100,
  teacher: 100,
  series: 100,
  notes: 10_000,
}
const MOST_TAGS = 20
const LONGEST_TAG = 40

/** A lesson as the form shows it. */
export function formOf(entry: Entry): Form {
  const { title, school, subject, grade, teacher, series, notes, tags } = entry
  const texts = { title, school, subject, grade, teacher, series, notes, tags: tags?.join(', ') }
  return Object.fromEntries(FIELDS.map((field) => [field, texts[field] ?? ''])) as unknown as Form
}

/** Only what is another now: what the recorder says of the rest may still change. */
export function changesOf(entry: Entry, form: Form): Changes {
  const before = formOf(entry)
  const changes: Changes = {}
  for (const field of FIELDS) {
    if (form[field].trim() === before[field].trim()) continue
    if (field === 'tags') changes.tags = tagsOf(form.tags)
    else changes[field] = form[field].trim()
  }
  return changes
}

/** Commas of every script part tags. */
export function tagsOf(text: string): string[] {
  const tags = text.split(/[,，、;；\n]/).map((tag) => tag.trim())
  return [...new Set(tags.filter((tag) => tag !== ''))]
}

export function tagsTrouble(text: string): Sentence | undefined {
  const tags = tagsOf(text)
  const long = tags.some((tag) => [...tag].length > LONGEST_TAG)
  if (tags.length <= MOST_TAGS && !long) return undefined
  return { key: 'edit.tooManyTags', params: { most: MOST_TAGS, longest: LONGEST_TAG } }
}
