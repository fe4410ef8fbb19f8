/** Where the pictures stand: one, two beside each other, a small one over a large one; full screen. */
import { byId, face, say, show } from '../lib/dom'
import { isKey, type Key, onLanguage, t } from '../lib/i18n'
import type { Plan } from './views'

const HIDE_MS = 3_000

/** Safari on a phone gives the whole screen to a <video> only. */
type PhoneVideo = HTMLVideoElement & { webkitEnterFullscreen?: () => void }

export class Stage {
  readonly #stage = byId('stage', HTMLElement)
  readonly #screens = byId('screens', HTMLElement)
  readonly #button = byId('fullscreen', HTMLButtonElement)
  readonly #pictures: readonly [HTMLVideoElement, HTMLVideoElement]
  #plan: Plan | undefined
  #swapped = false
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(pictures: readonly [HTMLVideoElement, HTMLVideoElement], onClick: () => void) {
    this.#pictures = pictures
    this.#button.addEventListener('click', () => this.toggleFull())
    show(this.#button, document.fullscreenEnabled || this.#phoneVideo() !== undefined)
    document.addEventListener('fullscreenchange', () => this.#changed())
    for (const kind of ['pointermove', 'pointerdown', 'keydown', 'focusin'])
      this.#stage.addEventListener(kind, () => this.#wake())
    for (const picture of pictures) {
      picture.addEventListener('click', () => (this.#isSmall(picture) ? this.swap() : onClick()))
      picture.addEventListener('dblclick', () => this.toggleFull())
    }
    byId('swap', HTMLButtonElement).addEventListener('click', () => this.swap())
    onLanguage(() => this.#name())
    this.#name()
  }

  /** Two pictures are shown. */
  get double(): boolean {
    return this.#plan?.layout === 'both' || this.#plan?.layout === 'pip'
  }

  /** Lays out a plan; `shown` says which source each element holds. */
  draw(plan: Plan, shown: readonly (string | undefined)[]): void {
    this.#plan = plan
    this.#screens.dataset.layout = plan.layout
    const lead = plan.layout === 'one' && plan.second ? plan.second : plan.lead
    const big = this.#swapped && this.double ? plan.second?.source : lead.source
    this.#pictures.forEach((picture, index) => {
      const source = shown[index]
      const seen = source !== undefined && (source === lead.source || this.double)
      show(picture, seen)
      if (!seen) return
      picture.dataset.source = source
      picture.dataset.size = source === big ? 'big' : 'small'
    })
    this.#name()
    show(byId('voice-card', HTMLElement), plan.layout === 'voice')
    show(byId('swap', HTMLElement), this.double)
  }

  swap(): void {
    if (!this.double) return
    this.#swapped = !this.#swapped
    for (const picture of this.#pictures)
      picture.dataset.size = picture.dataset.size === 'big' ? 'small' : 'big'
  }

  toggleFull(): void {
    if (document.fullscreenElement) void document.exitFullscreen()
    else if (document.fullscreenEnabled) void this.#stage.requestFullscreen().catch(() => {})
    else this.#phoneVideo()?.webkitEnterFullscreen?.()
  }

  /** For screen readers; a tooltip over a picture would only cover it. */
  #name(): void {
    this.#stage.setAttribute('aria-label', t('replay.player'))
    for (const picture of this.#pictures) {
      const source = picture.dataset.source ?? ''
      picture.setAttribute('aria-label', t(pictureName(source), { source }))
    }
  }

  #isSmall(picture: HTMLVideoElement): boolean {
    return this.double && picture.dataset.size === 'small'
  }

  #phoneVideo(): PhoneVideo | undefined {
    const video: PhoneVideo | undefined = this.#pictures.find((one) => !one.hidden)
    return video?.webkitEnterFullscreen ? video : undefined
  }

  #changed(): void {
    const full = document.fullscreenElement !== null
    const key = full ? 'join.leaveFullscreen' : 'join.fullscreen'
    face(this.#button, full ? 'shrink' : 'expand', key)
    this.#wake()
  }

  /** In full screen the bar hides while nobody moves and nothing in it has the focus. */
  #wake(): void {
    clearTimeout(this.#timer)
    this.#stage.classList.remove('still')
    if (!document.fullscreenElement) return
    this.#timer = setTimeout(() => this.#stage.classList.add('still'), HIDE_MS)
  }
}

/** What a source is called; one we do not know is named as the lesson names it. */
export function pictureName(source: string): Key {
  const key = `replay.${source}`
  return isKey(key) ? key : 'replay.picture'
}

/** Writes a source's name into a button or a heading. */
export function sayPicture(element: HTMLElement, source: string): void {
  say(element, pictureName(source), { source })
}
