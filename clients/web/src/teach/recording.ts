/** How the recording is, in words: what the node says of it is for its operator. Pure. */
import type { LiveLesson } from '../lib/api'
import type { Key } from '../lib/i18n'
import type { Sentence } from '../lib/sentences'

/** `weak`: all is recorded, but not for long; `bad`: something is not recorded. */
export type Level = 'good' | 'weak' | 'bad'

export interface Told extends Sentence {
  level: Level
}

const REASONS: Readonly<Record<string, Key>> = {
  'disk full': 'recording.diskFull',
  'the recorder is starting again': 'recording.startsAgain',
}

export function tell({ recording, disk }: Pick<LiveLesson, 'recording' | 'disk'>): Told {
  if (recording === 'off') return { key: 'recording.off', level: 'good' }
  if (disk?.keeps === 'sound') return { key: 'recording.soundOnly', level: 'bad' }
  if (disk?.keeps === 'events') return { key: 'recording.noRoom', level: 'bad' }
  if (recording !== 'ok') return failing(recording.replace(/^failing:?\s*/, ''))
  if (typeof disk?.hours_left !== 'number') return { key: 'recording.ok', level: 'good' }
  return { ...left(disk.hours_left), level: 'weak' }
}

function failing(reason: string): Told {
  const key = REASONS[reason]
  if (key) return { key, level: 'bad' }
  return { key: 'recording.failing', params: { reason }, level: 'bad' }
}

/** Whole minutes of the last hour; a tenth of an hour is as much as is known. */
function left(hours: number): Sentence {
  if (hours >= 1) return { key: 'recording.hoursLeft', params: { n: hours } }
  return { key: 'recording.minutesLeft', params: { n: Math.round(hours * 60) } }
}
