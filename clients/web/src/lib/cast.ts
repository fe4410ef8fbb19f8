/** Who plays which part in a lesson. Pure. */
import { Track } from 'livekit-client'

/** What is looked at of a participant. */
export interface Player {
  identity: string
  name?: string | undefined
  attributes: Readonly<Record<string, string>>
  getTrackPublication(source: Track.Source): object | undefined
}

export interface Cast<T extends Player> {
  /** Who teaches: by role, or, where no token says so, who is seen or heard without the floor. */
  teacher: T | undefined
  /** Who has the floor. */
  speaker: T | undefined
}

const SEEN_OR_HEARD = [Track.Source.Camera, Track.Source.ScreenShare, Track.Source.Microphone]

export function cast<T extends Player>(people: readonly T[], holder: string | undefined): Cast<T> {
  const others = people.filter((one) => one.identity !== holder)
  return {
    teacher: others.find((one) => one.attributes.role === 'teacher') ?? others.find(publishes),
    speaker: people.find((one) => one.identity === holder),
  }
}

export function publishes(one: Player): boolean {
  return SEEN_OR_HEARD.some((source) => one.getTrackPublication(source) !== undefined)
}

export function nameOf(one: Player): string {
  return one.name || one.identity
}
