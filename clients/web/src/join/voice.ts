/**
 * The teacher's voice, in an element of its own: pictures may then always start by themselves, and a
 * browser that refuses sound before a touch costs a button, not the lesson. (Lip sync is kept below
 * the elements, by the stream both tracks belong to.)
 */
import { byId, face, show } from '../lib/dom'

export class Voice {
  readonly #audio = byId('voice', HTMLAudioElement)
  readonly #unmute = byId('unmute', HTMLButtonElement)
  readonly #sound = byId('sound', HTMLButtonElement)

  constructor() {
    this.#unmute.addEventListener('click', () => void this.#play())
    this.#sound.addEventListener('click', () => this.#toggle())
  }

  attach(track: MediaStreamTrack): void {
    this.#audio.srcObject = new MediaStream([track])
    void this.#play()
  }

  async #play(): Promise<void> {
    const { srcObject } = this.#audio
    let refused = false
    try {
      await this.#audio.play()
    } catch (error) {
      refused = error instanceof DOMException && error.name === 'NotAllowedError'
    }
    if (this.#audio.srcObject !== srcObject) return
    show(this.#unmute, refused)
    show(this.#sound, !refused)
  }

  #toggle(): void {
    this.#audio.muted = !this.#audio.muted
    const off = this.#audio.muted
    face(this.#sound, off ? 'soundOff' : 'sound', off ? 'join.sound' : 'join.mute')
  }
}
