/** Where each lesson was left, so that it goes on there. */

const STORE = 'tongbu.positions'
/** The oldest is forgotten beyond this. */
const MOST = 100
/** Left this close to the start or the end (s), a lesson begins anew. */
const EDGE_S = 10

type Positions = [id: string, seconds: number][]

/** The list with this lesson's position newest, or without it where there is nothing to go on from. */
export function remembered(all: Positions, id: string, at: number, duration: number): Positions {
  const others = all.filter(([other]) => other !== id)
  const worth = at > EDGE_S && at < duration - EDGE_S
  return worth ? [[id, Math.round(at)] as [string, number], ...others].slice(0, MOST) : others
}

export function remember(id: string, at: number, duration: number): void {
  try {
    localStorage.setItem(STORE, JSON.stringify(remembered(read(), id, at, duration)))
  } catch {
    // A full or forbidden storage costs the memory, not the lesson.
  }
}

export function recall(id: string): number | undefined {
  return read().find(([known]) => known === id)?.[1]
}

function read(): Positions {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(STORE) ?? '[]')
    return Array.isArray(stored) ? stored : []
  } catch {
    return []
  }
}
