/** Which pictures a lesson has, and which of them a choice shows. Pure. */
import type { Entry, View } from '../lib/api'

/** A picture's source, or a way to show several or none. */
export type Choice = string

/** Two pictures side by side; a small one over a large one; voice first with slides; the voice alone. */
export const [BOTH, PIP, LIGHT, VOICE] = ['both', 'pip', 'light', 'voice'] as const

export type Layout = 'one' | 'both' | 'pip' | 'voice'

/** What is loaded for a choice: the lead has the sound and the clock. */
export interface Plan {
  lead: View
  second?: View
  layout: Layout
}

/** A picture that is not the teacher's camera is read, and stands first. */
const ORDER = ['slides', 'camera', 'floor']

/** What can be watched now: by HLS, or as a finished WebM. */
export function playable(entry: Entry): View[] {
  const views = entry.views.filter((view) => view.hls !== null || view.webm !== null)
  return views.sort((one, other) => rank(one.source) - rank(other.source))
}

/** The lesson's sound alone; not before its pictures, where they are written at the end only. */
export function voice(entry: Entry): View | undefined {
  const { audio, views } = entry
  if (!audio?.hls || (views.length > 0 && playable(entry).length === 0)) return undefined
  const { codec, hls } = audio
  return { source: 'microphone', kind: 'video', codec, width: 0, height: 0, hls, webm: null }
}

/** All that can be chosen, as the buttons stand. */
export function choices(views: readonly View[], sound: View | undefined): Choice[] {
  const pictures = views.map((view) => view.source)
  const pairs = views.length > 1 ? [BOTH, PIP] : []
  const light = sound && pictures.includes('slides') ? [LIGHT] : []
  return [...pairs, ...pictures, ...light, ...(sound ? [VOICE] : [])]
}

/** What a choice shows; a choice that this lesson does not have shows what comes nearest. */
export function plan(
  views: readonly View[],
  sound: View | undefined,
  choice: Choice,
): Plan | undefined {
  const [first, other] = views
  const slides = views.find((view) => view.source === 'slides')
  if (sound && (choice === VOICE || !first)) return { lead: sound, layout: 'voice' }
  if (sound && slides && choice === LIGHT) return { lead: sound, second: slides, layout: 'one' }
  if (!first) return undefined
  if (other && (choice === BOTH || choice === PIP))
    return { lead: first, second: other, layout: choice }
  return { lead: views.find((view) => view.source === choice) ?? first, layout: 'one' }
}

export interface Circumstances {
  /** What was chosen the last time. */
  remembered: Choice | undefined
  /** A narrow screen. */
  narrow: boolean
  /** A link that is known to be weak, or paid by the megabyte. */
  weak: boolean
}

/** What a lesson opens with. */
export function firstChoice(
  possible: readonly Choice[],
  { remembered, narrow, weak }: Circumstances,
): Choice | undefined {
  if (remembered && possible.includes(remembered)) return remembered
  const liked = [weak ? LIGHT : undefined, narrow ? PIP : BOTH]
  return liked.find((one) => one && possible.includes(one)) ?? possible[0]
}

/** The choice after this one, around in a circle. */
export function following(
  possible: readonly Choice[],
  now: Choice | undefined,
): Choice | undefined {
  return possible[(possible.indexOf(now ?? '') + 1) % Math.max(1, possible.length)]
}

function rank(source: string): number {
  const at = ORDER.indexOf(source)
  return at < 0 ? ORDER.length : at
}
