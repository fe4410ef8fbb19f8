/** The buttons under the picture, and what they show. */
import { byId, face, h, say, show, write } from '../lib/dom'
import { t } from '../lib/i18n'
import { clock } from '../lib/time'
import type { Command } from './keys'
import { liveness } from './live'
import type { Player } from './player'
import { SPEEDS, stepped } from './speeds'

const BUTTONS: Readonly<Record<string, Command>> = {
  toggle: { name: 'toggle' },
  'big-play': { name: 'toggle' },
  'back-10': { name: 'skip', by: -10 },
  'on-10': { name: 'skip', by: 10 },
  mute: { name: 'mute' },
  captions: { name: 'captions' },
  'help-open': { name: 'help' },
  share: { name: 'share' },
}

/** Rows of the help: keys, and the sentence that says what they do. */
const HELP = [
  [['Space', 'K'], 'replay.keyPlay'],
  [['J', 'L'], 'replay.keyTen'],
  [['←', '→'], 'replay.keyFive'],
  [['0', '…', '9'], 'replay.keyPlace'],
  [[',', '.'], 'replay.keyStep'],
  [['<', '>'], 'replay.keySpeed'],
  [['N', 'P'], 'replay.keyChapter'],
  [['↑', '↓', 'M'], 'replay.keyVolume'],
  [['V', 'X'], 'replay.keyView'],
  [['C'], 'replay.keyCaptions'],
  [['F'], 'replay.keyFull'],
  [['S'], 'replay.keyShare'],
] as const

export class Controls {
  readonly #player: Player
  readonly #speed = byId('speed', HTMLSelectElement)
  readonly #volume = byId('volume', HTMLInputElement)

  constructor(player: Player, onCommand: (command: Command) => void) {
    this.#player = player
    for (const [id, command] of Object.entries(BUTTONS))
      byId(id, HTMLButtonElement).addEventListener('click', () => onCommand(command))
    this.#speed.append(...SPEEDS.map((speed) => h('option', { value: String(speed) }, `${speed}×`)))
    this.#speed.addEventListener('change', () => {
      player.rate = Number(this.#speed.value)
    })
    this.#volume.addEventListener('input', () => {
      player.volume = Number(this.#volume.value)
    })
    byId('live-edge', HTMLButtonElement).addEventListener('click', () => player.toEdge())
    byId('keys', HTMLElement).replaceChildren(...HELP.flatMap(([keys, key]) => row(keys, key)))
  }

  /** Shows what the player is doing. */
  draw(live: boolean): void {
    const { paused, position, duration, rate, muted, volume, waiting } = this.#player
    const key = paused ? 'replay.play' : 'replay.pause'
    const toggle = byId('toggle', HTMLButtonElement)
    if (toggle.dataset.i18nLabel !== key || !toggle.title)
      face(toggle, paused ? 'play' : 'pause', key)
    show(byId('big-play', HTMLElement), paused && !waiting && duration > 0)
    show(byId('waiting', HTMLElement), waiting)
    write(byId('now', HTMLElement), clock(position))
    write(byId('length', HTMLElement), clock(duration))
    this.#speed.value = String(rate)
    this.#volume.value = String(muted ? 0 : volume)
    this.#drawMute(muted)
    this.#drawLive(live, position, duration)
  }

  #drawMute(muted: boolean): void {
    const button = byId('mute', HTMLButtonElement)
    const key = muted ? 'join.sound' : 'join.mute'
    if (button.dataset.i18nLabel !== key) face(button, muted ? 'soundOff' : 'sound', key)
  }

  #drawLive(live: boolean, position: number, duration: number): void {
    const button = byId('live-edge', HTMLButtonElement)
    show(button, live && duration > 0)
    if (!live) return
    const now = liveness(position, this.#player.edge)
    button.dataset.live = String(now.live)
    if (now.live) say(button, 'archive.live')
    else say(button, 'replay.live')
    const words = now.live ? t('archive.live') : t('replay.behind', { by: clock(now.behind) })
    button.title = words
  }
}

function row(keys: readonly string[], key: (typeof HELP)[number][1]): HTMLElement[] {
  const caps = keys.map((name) => h('kbd', {}, name))
  const words = h('dd')
  say(words, key)
  return [h('dt', {}, ...caps), words]
}

/** Carries out what concerns the player alone; false for anything else. */
export function obey(player: Player, wish: Command): boolean {
  if (wish.name === 'toggle') player.toggle()
  else if (wish.name === 'skip') player.skip(wish.by)
  else if (wish.name === 'step') player.step(wish.by)
  else if (wish.name === 'place') player.seek(wish.at * player.duration)
  else if (wish.name === 'speed') player.rate = stepped(player.rate, wish.by)
  else if (wish.name === 'volume') player.volume += wish.by
  else if (wish.name === 'mute') player.muted = !player.muted
  else return false
  return true
}

/** A toggle's state for eyes and screen readers. */
export function press(button: HTMLButtonElement, pressed: boolean): void {
  button.setAttribute('aria-pressed', String(pressed))
}
