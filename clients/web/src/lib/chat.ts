/** What is written in a lesson: text streams of the topic `lk.chat`, shown as text, never as markup. */
import type { Room, TextStreamReader } from 'livekit-client'
import { nameOf } from './cast'
import { byId, h, say, show } from './dom'
import { locale } from './i18n'
import { LONGEST, tidy } from './tidy'

const TOPIC = 'lk.chat'
/** Messages that are kept. */
const KEPT = 200

export interface Line {
  name: string
  text: string
  own: boolean
}

export class Chat {
  readonly #room: Room
  readonly #log = byId('chat-log', HTMLElement)
  readonly #input = byId('chat-input', HTMLInputElement)
  readonly #problem = byId('chat-problem', HTMLElement)
  readonly #onLine: (line: Line) => void

  constructor(room: Room, onLine: (line: Line) => void = () => {}) {
    this.#room = room
    this.#onLine = onLine
    this.#input.maxLength = LONGEST
    byId('chat-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#send()
    })
    room.registerTextStreamHandler(
      TOPIC,
      (reader, { identity }) => void this.#read(reader, identity),
    )
  }

  async #send(): Promise<void> {
    const text = tidy(this.#input.value)
    if (!text) return
    this.#input.value = ''
    show(this.#problem, false)
    try {
      await this.#room.localParticipant.sendText(text, { topic: TOPIC })
      this.#add({ name: nameOf(this.#room.localParticipant), text, own: true })
    } catch {
      if (!this.#input.value) this.#input.value = text
      say(this.#problem, 'chat.failed')
      show(this.#problem, true)
    }
  }

  async #read(reader: TextStreamReader, identity: string): Promise<void> {
    try {
      const text = tidy(await reader.readAll())
      const sender = this.#room.remoteParticipants.get(identity)
      if (text) this.#add({ name: sender ? nameOf(sender) : identity, text, own: false })
    } catch {
      // A stream that breaks off, or grows beyond what the client takes: there is nothing to show.
    }
  }

  #add(line: Line): void {
    const atEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 60
    const now = new Date()
    const time = now.toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit' })
    this.#log.append(
      h(
        'li',
        line.own ? { class: 'own' } : {},
        h('b', {}, line.name),
        h('time', { datetime: now.toISOString() }, time),
        h('p', {}, line.text),
      ),
    )
    while (this.#log.childElementCount > KEPT) this.#log.firstElementChild?.remove()
    if (atEnd || line.own) this.#log.scrollTop = this.#log.scrollHeight
    this.#onLine(line)
  }
}
