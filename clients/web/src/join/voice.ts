/**
 * Everybody's voice, each in an element of its own: pictures may then always start by themselves, and
 * a browser that refuses sound before a touch costs a button, not the lesson. (Lip sync is kept below
 * the elements, by the stream both tracks belong to.)
 */
import { type RemoteAudioTrack, type Room, RoomEvent } from 'livekit-client'
import { byId, face, show } from '../lib/dom'

export class Voices {
  readonly #holder = byId('voices', HTMLElement)
  readonly #unmute = byId('unmute', HTMLButtonElement)
  readonly #sound = byId('sound', HTMLButtonElement)
  readonly #room: Room
  readonly #playing = new Map<RemoteAudioTrack, HTMLMediaElement>()
  #off = false

  constructor(room: Room) {
    this.#room = room
    this.#unmute.addEventListener('click', () => void room.startAudio().catch(() => {}))
    this.#sound.addEventListener('click', () => this.#toggle())
    room.on(RoomEvent.AudioPlaybackStatusChanged, () => this.#draw())
  }

  /** These are heard from now on, and no others. */
  handleTracks(tracks: ReadonlySet<RemoteAudioTrack>): void {
    for (const [track, element] of this.#playing) if (!tracks.has(track)) this.#drop(track, element)
    for (const track of tracks) if (!this.#playing.has(track)) this.#play(track)
    this.#draw()
  }

  #play(track: RemoteAudioTrack): void {
    const element = track.attach()
    element.dataset.testid = 'voice'
    element.muted = this.#off
    this.#holder.append(element)
    this.#playing.set(track, element)
  }

  #drop(track: RemoteAudioTrack, element: HTMLMediaElement): void {
    track.detach(element)
    element.remove()
    this.#playing.delete(track)
  }

  #toggle(): void {
    this.#off = !this.#off
    for (const element of this.#playing.values()) element.muted = this.#off
    this.#draw()
  }

  #draw(): void {
    const refused = this.#playing.size > 0 && !this.#room.canPlaybackAudio
    show(this.#unmute, refused)
    show(this.#sound, this.#playing.size > 0 && !refused)
    face(this.#sound, this.#off ? 'soundOff' : 'sound', this.#off ? 'join.sound' : 'join.mute')
  }
}
