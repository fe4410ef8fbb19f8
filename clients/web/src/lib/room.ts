/** A place in a lesson's room, by LiveKit's protocol: in, out, and what changed. */
import {
  ConnectionError,
  DisconnectReason,
  isBrowserSupported,
  LocalAudioTrack,
  type LocalTrack,
  LocalVideoTrack,
  LogLevel,
  Room,
  RoomEvent,
  setLogLevel,
} from 'livekit-client'
import { ask, HttpError } from './http'
import { type Call, Elsewhere, type Loss, NoPath, Removed } from './link'
import { NoWebrtc } from './sentences'
import { haveRandomNames } from './uuid'

/** A room to enter, and to enter again. */
export function makeRoom(): Room {
  haveRandomNames()
  setLogLevel(LogLevel.warn)
  // Tracks are ours: the page that opened a device lets go of it. So is the goodbye: a teacher who is
  // asked whether to leave the page may stay.
  const room = new Room({ stopLocalTrackOnUnpublish: false, disconnectOnPageLeave: false })
  addEventListener('pagehide', () => void room.disconnect())
  return room
}

/** Enters the room. Throws HttpError, TypeError (nobody answers), NoPath or NoWebrtc. */
export async function enter(room: Room, token: string): Promise<Call> {
  if (!isBrowserSupported()) throw new NoWebrtc()
  let answered = false
  const noteAnswer = () => {
    answered = true
  }
  const end = ending(room)
  room.once(RoomEvent.SignalConnected, noteAnswer)
  try {
    await room.connect(serverUrl(location), token)
  } catch (error) {
    end.forget()
    throw await reason(error, answered, token)
  } finally {
    room.off(RoomEvent.SignalConnected, noteAnswer)
  }
  return { over: end.over, close: () => void room.disconnect() }
}

/** A track that the page has opened: the client of LiveKit neither stops nor reopens it. */
export function ours(track: MediaStreamTrack): LocalTrack {
  const Kind = track.kind === 'audio' ? LocalAudioTrack : LocalVideoTrack
  return new Kind(track, undefined, true) as LocalTrack
}

/** Calls back soon after anything in the room has changed, once for all that did. */
export function onChange(room: Room, callback: () => void): void {
  let due = false
  const note = () => {
    if (due) return
    due = true
    setTimeout(() => {
      due = false
      callback()
    })
  }
  for (const event of CHANGES) room.on(event, note)
}

const CHANGES = [
  RoomEvent.Connected,
  RoomEvent.Reconnected,
  RoomEvent.ParticipantConnected,
  RoomEvent.ParticipantDisconnected,
  RoomEvent.ParticipantPermissionsChanged,
  RoomEvent.ParticipantNameChanged,
  RoomEvent.RoomMetadataChanged,
  RoomEvent.TrackPublished,
  RoomEvent.TrackUnpublished,
  RoomEvent.TrackSubscribed,
  RoomEvent.TrackUnsubscribed,
  RoomEvent.TrackMuted,
  RoomEvent.TrackUnmuted,
  RoomEvent.TrackStreamStateChanged,
  RoomEvent.LocalTrackPublished,
  RoomEvent.LocalTrackUnpublished,
  RoomEvent.ActiveSpeakersChanged,
  RoomEvent.ConnectionQualityChanged,
] as const

/** The reports of all tracks that come or go, as one. */
export async function statistics(room: Room): Promise<Map<string, unknown>> {
  const people = [room.localParticipant, ...room.remoteParticipants.values()]
  const tracks = people.flatMap((person) =>
    [...person.trackPublications.values()].map((publication) => publication.track),
  )
  const reports = await Promise.all(tracks.map((track) => track?.getRTCStatsReport()))
  const all = new Map<string, unknown>()
  for (const report of reports)
    report?.forEach((value, key) => {
      all.set(key, value)
    })
  return all
}

export function serverUrl({ protocol, host }: Pick<Location, 'protocol' | 'host'>): string {
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${host}`
}

function ending(room: Room): { over: Promise<Loss>; forget(): void } {
  let listener: (reason?: DisconnectReason) => void = () => {}
  const over = new Promise<Loss>((resolve, reject) => {
    listener = (reason) => {
      if (reason === DisconnectReason.DUPLICATE_IDENTITY) reject(new Elsewhere())
      else if (reason === DisconnectReason.PARTICIPANT_REMOVED) reject(new Removed())
      else resolve(isBell(reason) ? 'bell' : 'lost')
    }
  })
  // Whoever waits for it hears of it; nobody else has to.
  over.catch(() => {})
  room.once(RoomEvent.Disconnected, listener)
  return { over, forget: () => room.off(RoomEvent.Disconnected, listener) }
}

function isBell(reason: DisconnectReason | undefined): boolean {
  return reason === DisconnectReason.ROOM_CLOSED || reason === DisconnectReason.ROOM_DELETED
}

/** Browsers hide why a WebSocket was refused: the node is asked once more, by HTTP. */
async function reason(error: unknown, answered: boolean, token: string): Promise<unknown> {
  if (!(error instanceof ConnectionError)) return error
  if (answered) return new NoPath()
  try {
    await ask('/rtc/v1/validate', { token })
  } catch (refusal) {
    return refusal
  }
  return new HttpError(503, error.message)
}
