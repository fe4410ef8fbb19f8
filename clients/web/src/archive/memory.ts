/** Where each lesson was left, and how one likes to watch. */
import { isSpeed } from './speeds'

const POSITIONS = 'tongbu.positions'
const LIKES = 'tongbu.replay'
/** The oldest is forgotten beyond this. */
const MOST = 100
/** Left this close to the start or the end (s), a lesson begins anew. */
const EDGE_S = 10

type Positions = [id: string, seconds: number][]

/** How one likes to watch; what was never chosen is absent. */
export interface Likes {
  view?: string
  rate?: number
  volume?: number
  muted?: boolean
  captions?: boolean
}

/** The list with this lesson's position newest, or without it where there is nothing to go on from. */
export function remembered(all: Positions, id: string, at: number, duration: number): Positions {
  const others = all.filter(([other]) => other !== id)
  const worth = at > EDGE_S && at < duration - EDGE_S
  return worth ? [[id, Math.round(at)] as [string, number], ...others].slice(0, MOST) : others
}

/** What storage may hold is anything; this is what is meant. */
export function likesOf(stored: unknown): Likes {
  if (!stored || typeof stored !== 'object') return {}
  const { view, rate, volume, muted, captions } = stored as Record<string, unknown>
  const likes: Likes = {}
  if (typeof view === 'string' && view.length <= 32) likes.view = view
  if (isSpeed(rate)) likes.rate = rate
  if (typeof volume === 'number' && volume >= 0 && volume <= 1) likes.volume = volume
  if (typeof muted === 'boolean') likes.muted = muted
  if (typeof captions === 'boolean') likes.captions = captions
  return likes
}

export function remember(id: string, at: number, duration: number): void {
  write(POSITIONS, remembered(positions(), id, at, duration))
}

export function recall(id: string): number | undefined {
  return positions().find(([known]) => known === id)?.[1]
}

export function likes(): Likes {
  return likesOf(read(LIKES))
}

export function like(more: Likes): void {
  write(LIKES, { ...likes(), ...more })
}

function positions(): Positions {
  const stored = read(POSITIONS)
  if (!Array.isArray(stored)) return []
  return stored.filter(
    (one): one is [string, number] =>
      Array.isArray(one) && typeof one[0] === 'string' && Number.isFinite(one[1]),
  )
}

function read(store: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(store) ?? 'null')
  } catch {
    return null
  }
}

function write(store: string, value: unknown): void {
  try {
    localStorage.setItem(store, JSON.stringify(value))
  } catch {
    // A full or forbidden storage costs the memory, not the lesson.
  }
}
