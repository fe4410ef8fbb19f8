/** The button to ask for the floor, and to give it back. */
import { byId, face, say, show } from '../lib/dom'
import { Declined, type Desk, type Floor } from '../lib/floor'
import type { Sentence } from '../lib/sentences'

type Face = 'down' | 'up' | 'speaking'

export interface HandOptions {
  desk: Desk
  /** Before the hand goes up. */
  onRaise(): void
  onProblem(problem: Sentence): void
}

export class Hand {
  readonly #button = byId('hand', HTMLButtonElement)
  readonly #status = byId('hand-status', HTMLElement)
  readonly #options: HandOptions
  #face: Face = 'down'

  constructor(options: HandOptions) {
    this.#options = options
    this.#button.addEventListener('click', () => void this.#press())
  }

  handleFloor({ holder, hands }: Floor, own: string): void {
    const place = hands.indexOf(own)
    this.#face = holder === own ? 'speaking' : place >= 0 ? 'up' : 'down'
    this.#button.dataset.face = this.#face
    this.#button.setAttribute('aria-pressed', String(this.#face !== 'down'))
    if (this.#face === 'speaking') face(this.#button, 'micOff', 'join.giveBack')
    else face(this.#button, 'hand', this.#face === 'up' ? 'join.lowerHand' : 'join.raiseHand')
    show(this.#status, this.#face !== 'down')
    if (this.#face === 'speaking') say(this.#status, 'join.speaking')
    if (this.#face === 'up') say(this.#status, 'join.handPlace', { n: place + 1 })
  }

  async #press(): Promise<void> {
    const { desk, onRaise, onProblem } = this.#options
    this.#button.disabled = true
    try {
      if (this.#face === 'speaking') await desk.revoke()
      else if (this.#face === 'up') await desk.lowerHand()
      else {
        onRaise()
        await desk.raiseHand()
      }
    } catch (error) {
      onProblem(sentenceOf(error))
    } finally {
      this.#button.disabled = false
    }
  }
}

function sentenceOf(error: unknown): Sentence {
  const reason = error instanceof Declined ? error.why : ''
  return reason ? { key: 'error.declined', params: { reason } } : { key: 'error.notHeard' }
}
