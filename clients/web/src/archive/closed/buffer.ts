/** What is loaded, what to load next, what to let go. Pure. */
import type { Segment } from './playlist'

/** From, to (s). */
export type Range = readonly [from: number, to: number]

/** A hole no longer than this (s) is played over. */
const HOLE_S = 0.3
/** Times are rounded. */
const ROUNDED_S = 0.01

export function ranges(buffered: TimeRanges): Range[] {
  return Array.from({ length: buffered.length }, (_, n) => [buffered.start(n), buffered.end(n)])
}

/** Up to where there is something to play from `at` on; `at` itself where there is nothing. */
export function reach(loaded: readonly Range[], at: number): number {
  let until = at
  for (const [from, to] of loaded)
    if (to > until && from <= until + (until > at ? HOLE_S : ROUNDED_S)) until = to
  return until
}

/** The segment (its index) that has this moment; the last one for what is later. */
export function segmentAt(segments: readonly Segment[], at: number): number {
  let [low, high] = [0, segments.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((segments[middle]?.start ?? 0) <= at) low = middle
    else high = middle - 1
  }
  return low
}

/**
 * The segment to load next, so that there is something for `ahead` seconds from `at` on. `had` are those
 * that were loaded whole and need not come again, whatever holes they have left.
 */
export function wanted(
  segments: readonly Segment[],
  loaded: readonly Range[],
  { at, ahead, had }: { at: number; ahead: number; had: ReadonlySet<number> },
): number | undefined {
  const until = reach(loaded, at)
  if (until >= at + ahead) return undefined
  let index = segmentAt(segments, until > at ? until + ROUNDED_S * 2 : at)
  while (had.has(index)) index++
  const next = segments[index]
  return next && next.start < at + ahead ? index : undefined
}

/** Something loaded that is too far from `at` to be kept. */
export function useless(
  loaded: readonly Range[],
  { at, behind, ahead }: { at: number; behind: number; ahead: number },
): Range | undefined {
  for (const [from, to] of loaded) {
    if (from < at - behind - SLACK_S) return [from, Math.min(to, at - behind)]
    if (to > at + ahead + SLACK_S) return [Math.max(from, at + ahead), to]
  }
  return undefined
}

/** Where it is stuck at `at` before a hole: the moment (s) after it, if that is near. */
export function beyond(loaded: readonly Range[], at: number): number | undefined {
  const inside = loaded.some(([from, to]) => from <= at && at < to - ROUNDED_S)
  const next = loaded.find(([from]) => from > at)
  return !inside && next && next[0] - at < SLACK_S ? next[0] + ROUNDED_S : undefined
}

/** Nothing is thrown away for less than a segment (s). */
const SLACK_S = 2
