/** Who is here, in the order that a teacher needs. Pure. */
import { ConnectionQuality } from 'livekit-client'
import type { Floor } from './floor'
import type { Quality } from './stats'

export interface Present {
  identity: string
  name: string
  speaking: boolean
  quality: Quality | undefined
  hand: 'down' | 'up' | 'speaking'
  /** Whether it may be given the floor. */
  school: boolean
}

/** What is looked at of a participant. */
export interface Attendee {
  identity: string
  name?: string | undefined
  attributes: Readonly<Record<string, string>>
  isSpeaking: boolean
  connectionQuality: ConnectionQuality
}

/** Who has the floor, then who asks, first come first; the others by name. */
export function roll(
  people: Iterable<Attendee>,
  { holder, hands }: Floor,
  locale: string,
): Present[] {
  const rank = ({ identity }: Present): number => {
    if (identity === holder) return -1
    const place = hands.indexOf(identity)
    return place < 0 ? hands.length : place
  }
  const found = [...people].map((one) => ({
    identity: one.identity,
    name: one.name || one.identity,
    speaking: one.isSpeaking,
    quality: word(one.connectionQuality),
    hand: handOf(one.identity, { holder, hands }),
    school: one.attributes.role !== 'teacher',
  }))
  return found.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name, locale))
}

/** The node's word for a link, in the three that the pages know. */
export function word(quality: ConnectionQuality): Quality | undefined {
  if (quality === ConnectionQuality.Unknown) return undefined
  if (quality === ConnectionQuality.Lost) return 'bad'
  return quality === ConnectionQuality.Poor ? 'weak' : 'good'
}

function handOf(identity: string, { holder, hands }: Floor): Present['hand'] {
  if (identity === holder) return 'speaking'
  return hands.includes(identity) ? 'up' : 'down'
}
