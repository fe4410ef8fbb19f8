/** Captions of a lesson that has some, in the reader's language if it can be had. */
import type { Captions as Track } from '../lib/api'
import { byId, show } from '../lib/dom'
import { language } from '../lib/i18n'
import { press } from './controls'
import { fileOf } from './extras'
import { sayCaption } from './side'
import { type Cue, cueAt, cues } from './vtt'

export class Captions {
  readonly #button = byId('captions', HTMLButtonElement)
  #tracks: readonly Track[] = []
  #files = new Map<string, Promise<Cue[]>>()
  #cues: readonly Cue[] = []
  #on = false
  readonly #onLoaded: () => void

  /** `onLoaded`: the words have come, perhaps while the lesson stands. */
  constructor(onLoaded: () => void) {
    this.#onLoaded = onLoaded
  }

  set tracks(tracks: readonly Track[]) {
    this.#tracks = tracks
    show(this.#button, tracks.length > 0)
    void this.#choose()
  }

  get on(): boolean {
    return this.#on
  }

  set on(on: boolean) {
    this.#on = on
    press(this.#button, on)
    void this.#choose()
  }

  /** What is said at this moment. */
  at(position: number): void {
    sayCaption(this.#on ? cueAt(this.#cues, position)?.text : undefined)
  }

  async #choose(): Promise<void> {
    const track = trackFor(this.#tracks, language())
    if (!this.#on || !track) return
    const known = this.#files.get(track.url) ?? fileOf(track.url).then(cues)
    this.#files.set(track.url, known)
    this.#cues = await known
    this.#onLoaded()
  }
}

/** The track of that language, else the first. Pure. */
export function trackFor(tracks: readonly Track[], wanted: string): Track | undefined {
  const speaks = (track: Track) => track.language.toLowerCase().split('-')[0] === wanted
  return tracks.find(speaks) ?? tracks[0]
}
