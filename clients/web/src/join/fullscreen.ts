/** Full screen of the room; the bar hides while nobody moves. */
import { byId, face, show } from '../lib/dom'

export class FullScreen {
  readonly #room = byId('room', HTMLElement)
  readonly #button = byId('fullscreen', HTMLButtonElement)
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor() {
    show(this.#button, document.fullscreenEnabled)
    this.#button.addEventListener('click', () => void this.#toggle())
    document.addEventListener('fullscreenchange', () => this.#changed())
    for (const kind of ['pointermove', 'pointerdown', 'keydown', 'focusin'])
      this.#room.addEventListener(kind, () => this.#wake())
  }

  async #toggle(): Promise<void> {
    if (document.fullscreenElement) await document.exitFullscreen()
    else await this.#room.requestFullscreen().catch(() => {})
  }

  #changed(): void {
    const full = document.fullscreenElement !== null
    face(
      this.#button,
      full ? 'shrink' : 'expand',
      full ? 'join.leaveFullscreen' : 'join.fullscreen',
    )
    this.#wake()
  }

  #wake(): void {
    clearTimeout(this.#timer)
    this.#room.classList.remove('still')
    if (!document.fullscreenElement) return
    this.#timer = setTimeout(() => this.#room.classList.add('still'), 3000)
  }
}
