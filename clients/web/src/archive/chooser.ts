/** The buttons of the views. */
import { byId, h, say, show } from '../lib/dom'
import { press } from './controls'
import { sayPicture } from './stage'
import { BOTH, type Choice, LIGHT, PIP, VOICE } from './views'

const NAMES = {
  [BOTH]: 'replay.both',
  [PIP]: 'replay.pip',
  [LIGHT]: 'replay.light',
  [VOICE]: 'replay.voiceOnly',
} as const

export class Chooser {
  readonly #group = byId('view-switch', HTMLElement)
  #offered = ''
  #chosen: Choice | undefined

  constructor(onChoose: (choice: Choice) => void) {
    this.#group.addEventListener('click', ({ target }) => {
      const button = target instanceof Element ? target.closest('button') : null
      if (button?.dataset.view) onChoose(button.dataset.view)
    })
  }

  /** A refresh that brought nothing new must not take the focus from a button. */
  offer(possible: readonly Choice[]): void {
    show(this.#group, possible.length > 1)
    if (possible.join() === this.#offered) return
    this.#offered = possible.join()
    const buttons = possible.map((choice) => {
      const button = h('button', { type: 'button', 'data-view': choice })
      sayChoice(button, choice)
      return button
    })
    this.#group.replaceChildren(...buttons)
    this.mark(this.#chosen)
  }

  mark(chosen: Choice | undefined): void {
    this.#chosen = chosen
    for (const button of this.#group.querySelectorAll('button'))
      press(button, button.dataset.view === chosen)
  }

  /** The new pictures are on their way. */
  set busy(busy: boolean) {
    this.#group.setAttribute('aria-busy', String(busy))
  }
}

export function sayChoice(element: HTMLElement, choice: Choice): void {
  const name = NAMES[choice as keyof typeof NAMES]
  if (name) say(element, name)
  else sayPicture(element, choice)
}
