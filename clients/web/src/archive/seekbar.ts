/** The seek bar: where one is, what is loaded, chapters as marks, a small picture under the pointer. */
import { byId, h, say, show, write } from '../lib/dom'
import { t } from '../lib/i18n'
import { clock } from '../lib/time'
import type { Chapter } from './chapters'
import { type Tile, tileAt } from './thumbnails'
import { cueAt } from './vtt'

export interface SeekBarOptions {
  /** Where to go (s). */
  onSeek(to: number): void
}

/** What the player says of itself. */
export interface Progress {
  position: number
  duration: number
  buffered: TimeRanges
  /** It is on its way to a place: the handle waits there. */
  seeking: boolean
}

/** While the handle is dragged, pictures follow when it rests for so long. */
const REST_MS = 120
/** A tile is drawn no wider than this. */
const TILE_PX = 176

export class SeekBar {
  readonly #input = byId('seek', HTMLInputElement)
  readonly #preview = byId('preview', HTMLElement)
  readonly #marks = byId('marks', HTMLElement)
  readonly #onSeek: (to: number) => void
  #tiles: readonly Tile[] = []
  #chapters: readonly Chapter[] = []
  #duration = 0
  #marked = ''
  #dragged: number | undefined
  #rest: ReturnType<typeof setTimeout> | undefined

  constructor({ onSeek }: SeekBarOptions) {
    this.#onSeek = onSeek
    this.#input.addEventListener('input', () => this.#drag(Number(this.#input.value)))
    this.#input.addEventListener('change', () => this.#drop())
    const box = byId('seek-box', HTMLElement)
    box.addEventListener('pointermove', (event) => this.#point(event))
    box.addEventListener('pointerdown', (event) => this.#point(event))
    for (const kind of ['pointerleave', 'pointercancel', 'pointerup'])
      box.addEventListener(kind, () => show(this.#preview, false))
    this.#input.addEventListener('keydown', (event) => this.#nudge(event))
  }

  set tiles(tiles: readonly Tile[]) {
    this.#tiles = tiles
  }

  set chapters(chapters: readonly Chapter[]) {
    this.#chapters = chapters
    this.#drawMarks()
  }

  draw({ position, duration, buffered, seeking }: Progress): void {
    this.#duration = duration
    this.#input.max = String(duration || 1)
    this.#input.disabled = duration === 0
    this.#drawMarks()
    this.#loaded(position, buffered)
    if (this.#dragged !== undefined && !seeking && this.#rest === undefined)
      this.#dragged = undefined
    this.#place(this.#dragged ?? position)
  }

  /** The handle stands at `at`, and the bar is told in words. */
  #place(at: number): void {
    this.#input.value = String(at)
    this.#input.style.setProperty('--at', percent(at, this.#duration))
    const words = t('replay.position', { at: clock(at), of: clock(this.#duration) })
    this.#input.setAttribute('aria-valuetext', words)
  }

  /** The stretch around the position that needs no network. */
  #loaded(position: number, buffered: TimeRanges): void {
    let until = position
    for (let n = 0; n < buffered.length; n++)
      if (buffered.start(n) <= position + 0.5 && buffered.end(n) > until) until = buffered.end(n)
    this.#input.style.setProperty('--loaded', percent(until, this.#duration))
  }

  #drag(to: number): void {
    this.#dragged = to
    this.#place(to)
    clearTimeout(this.#rest)
    this.#rest = setTimeout(() => this.#drop(), REST_MS)
  }

  #drop(): void {
    clearTimeout(this.#rest)
    this.#rest = undefined
    if (this.#dragged !== undefined) this.#onSeek(this.#dragged)
  }

  /** A range of fractions has no step of its own: arrows move it by what a lesson needs. */
  #nudge(event: KeyboardEvent): void {
    const to = nudged(event.key, Number(this.#input.value), this.#duration)
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return
    event.preventDefault()
    this.#onSeek(to)
  }

  #point(event: PointerEvent): void {
    if (this.#duration === 0) return
    const box = this.#input.getBoundingClientRect()
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / Math.max(1, box.width)))
    this.#show(share * this.#duration, share * box.width, box.width)
  }

  /** The bubble over the bar, kept within it. */
  #show(at: number, x: number, width: number): void {
    const [picture, name, time] = this.#preview.children as unknown as HTMLElement[]
    if (!picture || !name || !time) return
    const tile = tileAt(this.#tiles, at)
    show(picture, tile !== undefined)
    if (tile) paint(picture, tile)
    const chapter = cueAt(this.#chapters, at)
    show(name, chapter !== undefined)
    if (chapter) sayChapter(name, chapter)
    write(time, clock(at))
    show(this.#preview, true)
    const half = this.#preview.offsetWidth / 2
    this.#preview.style.left = `${Math.min(width - half, Math.max(half, x))}px`
  }

  #drawMarks(): void {
    const marked = `${this.#duration} ${this.#chapters.map((chapter) => chapter.start)}`
    if (this.#duration === 0 || marked === this.#marked) return
    this.#marked = marked
    const inside = this.#chapters.filter(({ start }) => start > 0 && start < this.#duration)
    const marks = inside.map(({ start }) =>
      h('i', { style: `left: ${percent(start, this.#duration)}` }),
    )
    this.#marks.replaceChildren(...marks)
  }
}

/** Where a key leads on the bar. Pure. */
export function nudged(key: string, at: number, duration: number): number | undefined {
  const by: Readonly<Record<string, number>> = {
    ArrowLeft: -5,
    ArrowDown: -5,
    ArrowRight: 5,
    ArrowUp: 5,
    PageDown: -60,
    PageUp: 60,
    Home: -duration,
    End: duration,
  }
  const step = by[key]
  return step === undefined ? undefined : Math.min(duration, Math.max(0, at + step))
}

export function sayChapter(element: HTMLElement, { name }: Chapter): void {
  if ('key' in name) say(element, name.key, name.params)
  else write(element, name.words)
}

function percent(part: number, whole: number): string {
  return `${whole > 0 ? Math.min(100, (part / whole) * 100) : 0}%`
}

/** One tile of a sprite, scaled by the room there is. */
function paint(element: HTMLElement, { url, x, y, width, height }: Tile): void {
  const zoom = Math.min(1, TILE_PX / width)
  element.style.width = `${width * zoom}px`
  element.style.height = `${height * zoom}px`
  element.style.setProperty('--zoom', String(zoom))
  element.style.setProperty('--sprite', `url("${encodeURI(decodeURI(url))}")`)
  element.style.setProperty('--x', `${-x}px`)
  element.style.setProperty('--y', `${-y}px`)
  element.style.setProperty('--tile', `${width}px`)
  element.style.setProperty('--tall', `${height}px`)
}
