/** The teacher's page: its states, and what each shows. */
import { type LiveLesson, liveLessons } from '../lib/api'
import { linkClaims, NoLink, tokenFor } from '../lib/auth'
import { Chat } from '../lib/chat'
import { askedCodec } from '../lib/codec'
import { byId, face, say, show, write } from '../lib/dom'
import { every } from '../lib/every'
import type { Key } from '../lib/i18n'
import { isLessonName, joinPath, lessonName } from '../lib/lesson'
import type { LinkState } from '../lib/link'
import { watchNetwork } from '../lib/network'
import { makeRoom } from '../lib/room'
import { type Sentence, sentence } from '../lib/sentences'
import { askForLink } from '../lib/shell'
import { clock } from '../lib/time'
import { keepAwake } from '../lib/wake'
import { Broadcast } from './broadcast'
import { Guest } from './guest'
import { People } from './people'
import { tell } from './recording'
import { Studio } from './studio'
import { UplinkHint } from './uplink'

const LESSON = 'tongbu.lesson'

type State = 'idle' | LinkState

export class TeachPage {
  readonly #name = byId('lesson-name', HTMLInputElement)
  readonly #start = byId('go-live', HTMLButtonElement)
  readonly #status = byId('status', HTMLElement)
  readonly #network = watchNetwork()
  readonly #room = makeRoom()
  readonly #hint = new UplinkHint()
  readonly #studio = new Studio({
    onTrack: (source, track) => this.#broadcast?.replace(source, track),
    onSwitches: (switches) => this.#broadcast?.announce(switches),
    onProblem: (problem) => this.#alert(problem ? { key: problem } : undefined),
  })
  /** Until the browser has given its devices, or the teacher refused them. */
  #opening: Promise<void> = Promise.resolve()
  #broadcast: Broadcast | undefined
  #state: State = 'idle'
  #lesson = ''
  #lessonId: string | undefined
  #startedAt = 0
  #stops: (() => void)[] = []

  async start(): Promise<void> {
    new Chat(this.#room)
    new Guest(this.#room)
    new People(this.#room, (problem) => this.#alert(problem))
    const room = linkClaims()?.room
    this.#name.value = room ?? localStorage.getItem(LESSON) ?? ''
    this.#name.readOnly = room !== undefined
    byId('setup', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#goLive()
    })
    byId('end-lesson', HTMLButtonElement).addEventListener('click', () => void this.#end())
    byId('copy', HTMLButtonElement).addEventListener('click', () => void this.#copy())
    byId('again', HTMLButtonElement).addEventListener('click', () => location.reload())
    addEventListener('beforeunload', (event) => this.#isUp() && event.preventDefault())
    if (await this.#mayTeach()) this.#opening = this.#studio.open()
    await this.#opening
  }

  /** Asks for a token before anything else: without one the page has nothing to offer. */
  async #mayTeach(): Promise<boolean> {
    try {
      await tokenFor('teacher', this.#name.value || 'lesson')
    } catch (error) {
      if (error instanceof NoLink) {
        askForLink()
        return false
      }
      this.#alert(sentence(error))
    }
    return true
  }

  async #goLive(): Promise<void> {
    this.#lesson = lessonName(this.#name.value)
    this.#name.value = this.#lesson
    if (!isLessonName(this.#lesson)) {
      this.#alert({ key: 'error.lessonName' })
      this.#name.focus()
      return
    }
    await this.#opening
    if (!this.#studio.hasSomething()) return this.#alert({ key: 'error.nothingToSend' })
    localStorage.setItem(LESSON, this.#lesson)
    this.#show('connecting')
    try {
      this.#begin(await tokenFor('teacher', this.#lesson))
    } catch (error) {
      this.#show('error', error)
    }
  }

  #begin(token: string): void {
    const broadcast = new Broadcast({
      room: this.#room,
      lesson: this.#lesson,
      token,
      codec: askedCodec(location.search),
      tracks: { ...this.#studio.tracks },
      switches: this.#studio.switches,
      network: this.#network,
      onState: (state, error) => this.#show(state, error),
    })
    this.#broadcast = broadcast
    broadcast.start()
    this.#startedAt = Date.now() / 1000
    this.#stops = [
      every(2000, async () =>
        this.#tell((await liveLessons(token)).find((one) => one.lesson === this.#lesson)),
      ),
      every(1000, () =>
        write(byId('elapsed', HTMLElement), clock(Date.now() / 1000 - this.#startedAt)),
      ),
      every(2000, async () => this.#hint.update(await broadcast.statistics())),
      keepAwake(),
    ]
    byId('join-link', HTMLInputElement).value = location.origin + joinPath(this.#lesson)
    write(byId('lesson-title', HTMLElement), this.#lesson)
    show(byId('link-hint', HTMLElement), linkClaims() !== undefined)
    byId('devices', HTMLDetailsElement).open = false
  }

  async #end(): Promise<void> {
    const dialog = byId('confirm', HTMLDialogElement)
    dialog.returnValue = ''
    dialog.showModal()
    await new Promise((resolve) => dialog.addEventListener('close', resolve, { once: true }))
    if (dialog.returnValue !== 'end') return
    try {
      await this.#broadcast?.end()
      this.#show('ended')
    } catch (error) {
      this.#alert(sentence(error))
    }
  }

  #isUp(): boolean {
    return this.#state === 'live' || this.#state === 'reconnecting'
  }

  #show(state: State, error?: unknown): void {
    this.#state = state
    const key: Key = `state.${state}`
    this.#status.dataset.state = state
    document.body.dataset.state = state
    say(this.#status, key)
    const started = this.#isUp()
    const busy = state === 'connecting'
    show(byId('setup', HTMLElement), !started && state !== 'ended')
    show(byId('live-panel', HTMLElement), started)
    show(byId('chat', HTMLElement), started)
    show(byId('elapsed', HTMLElement), started || state === 'ended')
    show(this.#start, !started && state !== 'ended')
    this.#start.disabled = busy
    say(this.#start.querySelector('span') ?? this.#start, startWords(state))
    show(byId('end-lesson', HTMLElement), started)
    show(byId('devices', HTMLElement), state !== 'ended')
    say(byId('title', HTMLElement), state === 'ended' ? 'state.ended' : 'teach.title')
    // While a retry is under way its reason is worth reading too; a fresh state clears the last one.
    this.#alert(error === undefined ? undefined : sentence(error))
    if (state === 'ended' || state === 'error') this.#close(state)
  }

  #close(state: 'ended' | 'error'): void {
    for (const stop of this.#stops) stop()
    this.#stops = []
    this.#broadcast?.stop()
    this.#broadcast = undefined
    if (state === 'error') return
    this.#studio.close()
    const id = this.#lessonId
    const target = id
      ? `/archive/${encodeURIComponent(id)}`
      : `/archive?q=${encodeURIComponent(this.#lesson)}`
    byId('replay', HTMLAnchorElement).href = target
    show(byId('after', HTMLElement), true)
    for (const part of ['switches', 'camera-off']) show(byId(part, HTMLElement), false)
  }

  #tell(lesson: LiveLesson | undefined): void {
    if (!lesson || !this.#isUp()) return
    this.#lessonId = lesson.id
    this.#startedAt = lesson.started_at
    const n = lesson.schools
    say(byId('schools', HTMLElement), n === 1 ? 'teach.schools.one' : 'teach.schools.many', { n })
    const [recording, told] = [byId('recording', HTMLElement), tell(lesson)]
    recording.dataset.level = told.level
    say(recording, told.key, told.params)
  }

  async #copy(): Promise<void> {
    const button = byId('copy', HTMLButtonElement)
    await copyText(byId('join-link', HTMLInputElement))
    face(button, 'copy', 'teach.copied')
    setTimeout(() => face(button, 'copy', 'teach.copy'), 2000)
  }

  #alert(said: Sentence | undefined): void {
    const alert = byId('alert', HTMLElement)
    show(alert, said !== undefined)
    if (said) say(alert, said.key, said.params)
  }
}

function startWords(state: State): Key {
  if (state === 'connecting') return 'state.connecting'
  return state === 'error' ? 'teach.retry' : 'teach.start'
}

/** The clipboard API is missing on plain http, where a classroom's node often is. */
async function copyText(field: HTMLInputElement): Promise<void> {
  field.select()
  if (navigator.clipboard) await navigator.clipboard.writeText(field.value).catch(() => {})
  else document.execCommand('copy')
}
