/** Small pictures of a lesson: a WebVTT whose cues name tiles of sprites (`sprite.jpg#xywh=…`). Pure. */
import { type Cue, cueAt } from './vtt'

export interface Tile {
  /** Seconds. */
  start: number
  end: number
  url: string
  x: number
  y: number
  width: number
  height: number
}

/** Media Fragments URI 1.0, 4.2.2; pixels. */
const PLACE = /^([^#\s]+)#xywh=(?:pixel:)?(\d{1,6}),(\d{1,6}),([1-9]\d{0,4}),([1-9]\d{0,4})$/

/** The tiles that the cues of the file at `base` name; pictures of other hosts are left out. */
export function tiles(cues: readonly Cue[], base: string): Tile[] {
  return cues.flatMap(({ start, end, text }) => {
    const found = PLACE.exec(text)
    const url = found && sameHost(found[1] ?? '', base)
    if (!url) return []
    const [x = 0, y = 0, width = 1, height = 1] = found.slice(2).map(Number)
    return [{ start, end, url, x, y, width, height }]
  })
}

/** What to show for a time: its tile, or the last one before it. */
export function tileAt(all: readonly Tile[], at: number): Tile | undefined {
  return cueAt(all, at) ?? all.filter((tile) => tile.start <= at).at(-1) ?? all[0]
}

function sameHost(relative: string, base: string): string | undefined {
  try {
    const url = new URL(relative, base)
    return url.origin === new URL(base).origin ? url.href : undefined
  } catch {
    return undefined
  }
}
