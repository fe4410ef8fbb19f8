/** The school that has the floor, as the teacher sees and hears it; and everybody else's voice. */
import { type Participant, type RemoteAudioTrack, type Room, Track } from 'livekit-client'
import { cast, nameOf } from '../lib/cast'
import { byId, show, write } from '../lib/dom'
import { parseFloor } from '../lib/floor'
import { onChange } from '../lib/room'

export class Guest {
  readonly #room: Room
  readonly #view = byId('guest', HTMLElement)
  readonly #video = byId('guest-video', HTMLVideoElement)
  readonly #playing = new Map<RemoteAudioTrack, HTMLMediaElement>()

  constructor(room: Room) {
    this.#room = room
    onChange(room, () => this.#look())
  }

  #look(): void {
    const people: Participant[] = [...this.#room.remoteParticipants.values()]
    const { speaker } = cast(people, parseFloor(this.#room.metadata).holder)
    const camera = speaker?.getTrackPublication(Track.Source.Camera)
    show(this.#view, speaker !== undefined)
    show(this.#video, camera?.track !== undefined && !camera.isMuted)
    if (speaker) write(byId('guest-name', HTMLElement), nameOf(speaker))
    if (camera?.track) camera.track.attach(this.#video)
    this.#listen()
  }

  #listen(): void {
    const heard = new Set<RemoteAudioTrack>()
    for (const person of this.#room.remoteParticipants.values())
      for (const { audioTrack } of person.audioTrackPublications.values())
        if (audioTrack) heard.add(audioTrack as RemoteAudioTrack)
    for (const [track, element] of this.#playing) {
      if (heard.has(track)) continue
      track.detach(element)
      this.#playing.delete(track)
    }
    for (const track of heard)
      if (!this.#playing.has(track)) this.#playing.set(track, track.attach())
  }
}
