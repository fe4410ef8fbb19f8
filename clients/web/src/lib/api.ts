/** The node's JSON API, typed. */
import { ask } from './http'

export type Source = 'microphone' | 'camera' | 'slides'

export interface LiveLesson {
  lesson: string
  title: string
  id: string
  /** Unix seconds. */
  started_at: number
  schools: number
  tracks: { kind: 'audio' | 'video'; source: Source; codec: string }[]
  /** `ok`, `off`, or `failing: <reason>`. */
  recording: string
  /** Where it fills, or is nearly full. */
  disk?: Disk
}

/** Where lessons are recorded. */
export interface Disk {
  /** What of a lesson is recorded. */
  keeps: 'everything' | 'sound' | 'events'
  /** Until pictures are not recorded any more; null: that is not in sight. */
  hours_left: number | null
}

export type EntryState = 'live' | 'finishing' | 'complete' | 'recovered' | 'degraded'

export interface View {
  /** `camera`, `slides`, `floor`, or what else a lesson had. */
  source: string
  kind: 'video'
  codec: string
  width: number
  height: number
  hls: string | null
  webm: string | null
}

/** One archived lesson. */
export interface Entry {
  id: string
  lesson: string
  title: string
  state: EntryState
  /** Unix seconds. */
  started_at: number
  duration_s: number
  poster: string | null
  bytes: number
  views: View[]
  audio: { codec: string; hls: string } | null
  downloads: string[]
  /** A WebVTT whose cues name tiles of sprites, and one of chapters. */
  thumbnails?: string | null
  chapters?: string | null
  captions?: Captions[] | null
  /** What was written in the lesson, or the URL of it. */
  talk?: Said[] | string | null
  /** Of the lesson as a whole. */
  notes?: string
  school?: string
  subject?: string
  grade?: string
  teacher?: string
  series?: string
  tags?: readonly string[]
  /** Whether who asked may change what is said of it. */
  editable?: boolean
}

export interface Captions {
  /** BCP 47. */
  language: string
  label: string
  /** A WebVTT. */
  url: string
}

/** Something written in a lesson. */
export interface Said {
  /** Seconds of the lesson. */
  t: number
  name: string
  text: string
  kind: 'chat' | 'note'
}

export async function liveLessons(token: string): Promise<LiveLesson[]> {
  return (await ask('/api/lessons', { token })).json()
}

export async function endLesson(lesson: string, token: string): Promise<void> {
  await ask(`/api/lessons/${encodeURIComponent(lesson)}`, { method: 'DELETE', token })
}

export async function entry(id: string, token: string): Promise<Entry> {
  return (await ask(`/api/archive/${encodeURIComponent(id)}`, { token })).json()
}
