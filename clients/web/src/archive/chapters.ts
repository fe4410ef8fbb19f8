/** A lesson's chapters: from a WebVTT, named in the reader's language where their kind is known. Pure. */
import type { Key, Params } from '../lib/i18n'
import type { Cue } from './vtt'

export interface Chapter {
  /** Seconds. */
  start: number
  end: number
  /** What it is called: a sentence, or words of the lesson's own. */
  name: { key: Key; params?: Params } | { words: string }
}

/** As many as a list can be read with; a share that flickers has more. */
const MOST = 500
/** A chapter that began so recently (s) is left for the one before it. */
const JUST_BEGUN_S = 3

const KINDS: Readonly<Record<string, Key>> = {
  start: 'replay.chapterStart',
  slide: 'replay.chapterSlide',
  floor: 'replay.chapterFloor',
  break: 'replay.chapterBreak',
  end: 'replay.chapterEnd',
}

/** Each chapter lasts until the next; the last one to the lesson's end. */
export function chapters(cues: readonly Cue[], duration: number): Chapter[] {
  const kept = cues.slice(0, MOST)
  return kept.map((cue, index) => ({
    start: cue.start,
    end: kept[index + 1]?.start ?? Math.max(cue.end, duration),
    name: nameOf(cue),
  }))
}

/** Where `n` and `p` lead. */
export function neighbour(all: readonly Chapter[], at: number, by: 1 | -1): number | undefined {
  if (by > 0) return all.find((chapter) => chapter.start > at + 0.5)?.start
  return all.filter((chapter) => chapter.start < at - JUST_BEGUN_S).at(-1)?.start
}

function nameOf({ id, text }: Cue): Chapter['name'] {
  const [, kind = '', n = ''] = /^([a-z]+)(?:-(\d+))?$/.exec(id) ?? []
  const key = KINDS[kind]
  if (!key || (kind === 'slide' && !n)) return { words: text || id }
  return { key, params: { n, name: text } }
}
