/** An entry's facts in words. */
import type { Entry, EntryState } from '../lib/api'
import { type Key, locale, t } from '../lib/i18n'
import { span } from '../lib/time'

/** The badge of a state; a complete lesson needs none. */
export function badge(state: EntryState): Key | undefined {
  return state === 'complete' ? undefined : `archive.${state}`
}

export function dateOf(entry: Entry): string {
  const format = new Intl.DateTimeFormat(locale(), { dateStyle: 'medium', timeStyle: 'short' })
  return format.format(entry.started_at * 1000)
}

export function lengthOf(entry: Entry): string {
  const { unit, n } = span(entry.duration_s)
  return t(`archive.${unit}`, { n })
}

export function megabytes(entry: Entry): string {
  return `${Math.max(1, Math.round(entry.bytes / 1e6))} MB`
}
