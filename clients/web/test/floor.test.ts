import { ConnectionQuality } from 'livekit-client'
import { describe, expect, it } from 'vitest'
import { cast } from '../src/lib/cast'
import { parseFloor } from '../src/lib/floor'
import { type Attendee, roll } from '../src/lib/roll'

describe('parseFloor', () => {
  it('reads who has the floor and who asks', () => {
    expect(parseFloor('{"floor":"a","hands":["b","c"],"topic":"x"}')).toEqual({
      holder: 'a',
      hands: ['b', 'c'],
    })
    expect(parseFloor('{"floor":null,"hands":["b"]}').holder).toBeUndefined()
  })
  it('is nobody’s where the metadata says nothing of it', () => {
    for (const other of [undefined, '', 'hello', '7', 'null', '[]', '{"floor":7,"hands":"b"}', '{'])
      expect(parseFloor(other)).toEqual({ holder: undefined, hands: [] })
  })
  it('takes no hand that is no identity', () => {
    expect(parseFloor('{"hands":[1,"b",null,{}]}').hands).toEqual(['b'])
  })
})

describe('cast', () => {
  const player = (identity: string, role?: string, sources: string[] = []) => ({
    identity,
    attributes: (role ? { role } : {}) as Record<string, string>,
    getTrackPublication: (source: string) => (sources.includes(source) ? {} : undefined),
  })
  it('finds the teacher by role, before anything is published', () => {
    const people = [player('a', undefined, ['camera']), player('t', 'teacher')]
    expect(cast(people, undefined).teacher?.identity).toBe('t')
  })
  it('takes for the teacher who is seen or heard, where no token says who teaches', () => {
    const people = [player('a'), player('t', undefined, ['microphone'])]
    expect(cast(people, undefined).teacher?.identity).toBe('t')
  })
  it('never takes who has the floor for the teacher', () => {
    const { teacher, speaker } = cast([player('s', undefined, ['camera'])], 's')
    expect(teacher).toBeUndefined()
    expect(speaker?.identity).toBe('s')
  })
})

describe('roll', () => {
  const one = (identity: string, change: Partial<Attendee> = {}): Attendee => ({
    identity,
    name: `School ${identity}`,
    attributes: {},
    isSpeaking: false,
    connectionQuality: ConnectionQuality.Excellent,
    ...change,
  })
  it('has who speaks first, then hands in order, then the others by name', () => {
    const people = ['e', 'd', 'c', 'b', 'a'].map((identity) => one(identity))
    const found = roll(people, { holder: 'd', hands: ['e', 'b'] }, 'en')
    expect(found.map(({ identity, hand }) => [identity, hand])).toEqual([
      ['d', 'speaking'],
      ['e', 'up'],
      ['b', 'up'],
      ['a', 'down'],
      ['c', 'down'],
    ])
  })
  it('tells each link in the pages’ three words', () => {
    const { Excellent, Good, Poor, Lost, Unknown } = ConnectionQuality
    const people = [Excellent, Good, Poor, Lost, Unknown].map((connectionQuality, at) =>
      one(String(at), { connectionQuality }),
    )
    expect(roll(people, parseFloor(''), 'en').map(({ quality }) => quality)).toEqual([
      'good',
      'good',
      'weak',
      'bad',
      undefined,
    ])
  })
  it('names who has no name, and offers the teacher no floor', () => {
    const [found] = roll(
      [one('t', { name: '', attributes: { role: 'teacher' } })],
      parseFloor(''),
      'en',
    )
    expect(found).toMatchObject({ name: 't', school: false })
  })
})
