/** One media element, and what is in it. */
import type { View } from '../lib/api'
import type { Loaded } from './source'
import { Follower } from './sync'

export interface Screen {
  readonly element: HTMLMediaElement
  view: View | undefined
  loaded: Loaded | undefined
  follower: Follower
  /** Counts what was put into it, so that what comes too late is known. */
  turn: number
}

/** With nothing in it. */
export function blank(element: HTMLMediaElement): Screen {
  return { element, view: undefined, loaded: undefined, follower: new Follower(), turn: 0 }
}

/** Whether two views are one. */
export function same(one: View | undefined, other: View | undefined): boolean {
  return one?.source === other?.source && one?.hls === other?.hls && one?.webm === other?.webm
}
