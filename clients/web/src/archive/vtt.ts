/** WebVTT (W3C) as far as chapters, thumbnails and captions need it. Bounded, never throws. Pure. */

export interface Cue {
  /** The line before the times; '' when there is none. */
  id: string
  /** Seconds. */
  start: number
  end: number
  /** Without markup; lines are kept. */
  text: string
}

/** More than the longest lesson's captions; a file beyond is cut there. */
const MOST_CUES = 20_000
const LONGEST = 2_000
const TIMES = /^((?:\d+:)?\d{2}:\d{2}\.\d{3})\s+-->\s+((?:\d+:)?\d{2}:\d{2}\.\d{3})(?:\s|$)/
const ENTITIES: Readonly<Record<string, string>> = {
  '&amp;': '&',
  '&lt;': '<',
  '&gt;': '>',
  '&nbsp;': '\u00a0',
  '&lrm;': '',
  '&rlm;': '',
}

/** The cues of a file in order of their start; what is no cue is passed over. */
export function cues(file: string): Cue[] {
  const lines = file.replace(/^\ufeff/, '').replace(/\r\n?/g, '\n')
  const found: Cue[] = []
  for (const block of lines.split(/\n(?:[ \t]*\n)+/)) {
    if (found.length === MOST_CUES) break
    const cue = parsed(block.split('\n'))
    if (cue) found.push(cue)
  }
  return found.sort((one, other) => one.start - other.start)
}

/** The last of the cues (in order of start) that holds at this time. */
export function cueAt<T extends { start: number; end: number }>(
  all: readonly T[],
  at: number,
): T | undefined {
  let [low, high] = [0, all.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((all[middle]?.start ?? 0) <= at) low = middle + 1
    else high = middle
  }
  const last = all[low - 1]
  return last && at < last.end ? last : undefined
}

function parsed(lines: string[]): Cue | undefined {
  const at = lines.findIndex((line) => line.includes('-->'))
  const times = TIMES.exec(lines[at]?.trim() ?? '')
  if (!times || at > 1) return undefined
  const [start, end] = [clock(times[1]), clock(times[2])]
  if (end <= start) return undefined
  const text = plain(lines.slice(at + 1).join('\n')).slice(0, LONGEST)
  return { id: at === 1 ? (lines[0] ?? '').trim() : '', start, end, text }
}

function clock(text = ''): number {
  return text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
}

/** A cue's text is shown as text: its tags go, its escapes are undone. */
function plain(text: string): string {
  return text
    .replace(/<[^>]*>/g, '')
    .replace(/&\w+;/g, (whole) => ENTITIES[whole] ?? whole)
    .trim()
}
