/** Where one is in a lesson that goes on. Pure. */

/** This near to the newest moment (s) one is live; a segment is up to 6 s. */
const NEAR_S = 8

export interface Liveness {
  live: boolean
  /** Whole seconds behind the newest moment; 0 when live. */
  behind: number
}

/** `edge` is the newest moment that plays smoothly (s). */
export function liveness(position: number, edge: number): Liveness {
  const behind = edge - position
  return behind <= NEAR_S ? { live: true, behind: 0 } : { live: false, behind: Math.round(behind) }
}
