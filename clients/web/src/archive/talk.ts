/** What was written in a lesson, as an archive tells it. Pure. */
import type { Said } from '../lib/api'
import { tidy } from '../lib/tidy'

export type Talk = readonly Said[]

const MOST = 5_000

/** Whatever an archive says, these are the lines of it that can be shown, in order of time. */
export function talkOf(stored: unknown): Talk {
  if (!Array.isArray(stored)) return []
  return stored
    .slice(0, MOST)
    .flatMap(line)
    .sort((one, other) => one.t - other.t)
}

/** The index of what was said last at this time; -1 before anything was. */
export function newest(talk: Talk, at: number): number {
  return talk.filter(({ t }) => t <= at).length - 1
}

function line(value: unknown): Said[] {
  if (!value || typeof value !== 'object') return []
  const { t, name, text, kind } = value as Record<string, unknown>
  if (typeof t !== 'number' || !(t >= 0) || typeof text !== 'string' || !text.trim()) return []
  const said = { t, text: tidy(text), name: typeof name === 'string' ? tidy(name) : '' }
  return [{ ...said, kind: kind === 'note' ? 'note' : 'chat' }]
}
