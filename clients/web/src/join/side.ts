/** Beside the pictures: who speaks, and what is written. */
import { type Participant, type Room, RoomEvent } from 'livekit-client'
import { nameOf } from '../lib/cast'
import type { Line } from '../lib/chat'
import { byId, show, write } from '../lib/dom'

export class Side {
  readonly #chat = byId('chat', HTMLElement)
  readonly #button = byId('chat-switch', HTMLButtonElement)
  readonly #unread = byId('chat-unread', HTMLElement)
  #missed = 0

  constructor(room: Room) {
    this.#button.addEventListener('click', () => this.#toggle(this.#chat.hasAttribute('hidden')))
    byId('chat-close', HTMLButtonElement).addEventListener('click', () => this.#close())
    this.#chat.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') this.#close()
    })
    room.on(RoomEvent.ActiveSpeakersChanged, (speakers) => heard(speakers))
  }

  /** Something was written. */
  handleLine({ own }: Line): void {
    if (own || !this.#chat.hasAttribute('hidden')) return
    this.#missed += 1
    this.#draw()
  }

  #close(): void {
    this.#toggle(false)
    this.#button.focus()
  }

  #toggle(open: boolean): void {
    show(this.#chat, open)
    this.#button.setAttribute('aria-expanded', String(open))
    this.#missed = 0
    this.#draw()
    if (open) byId('chat-input', HTMLInputElement).focus()
  }

  #draw(): void {
    show(this.#unread, this.#missed > 0)
    write(this.#unread, this.#missed > 99 ? '99+' : String(this.#missed))
  }
}

function heard(speakers: readonly Participant[]): void {
  show(byId('speaker', HTMLElement), speakers.length > 0)
  write(byId('speaker-name', HTMLElement), speakers.slice(0, 2).map(nameOf).join(' · '))
}
