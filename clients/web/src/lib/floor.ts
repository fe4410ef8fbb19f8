/**
 * Who has the floor and who asks for it: said by the room's metadata, asked of the participant
 * `classroom` by remote procedure calls.
 */
import { type Room, RpcError } from 'livekit-client'

/** All are identities. */
export interface Floor {
  holder: string | undefined
  /** Who asks, the one who has waited longest first. */
  hands: readonly string[]
}

/** The node's participant that answers; it is in no list. */
const CLASSROOM = 'classroom'
/** The method failed, and its message is a sentence of the node's (LiveKit's RPC). */
const APPLICATION_ERROR = 1500

/** The node turned a wish down, or did not hear it. */
export class Declined extends Error {
  constructor(
    /** The node's own sentence, if it gave one. */
    readonly why: string,
  ) {
    super(why)
  }
}

/** Reads a room's metadata; whatever else stands there, nobody has the floor. Pure. */
export function parseFloor(metadata: string | undefined): Floor {
  const said = fields(metadata)
  const hands = Array.isArray(said.hands) ? said.hands : []
  return {
    holder: typeof said.floor === 'string' && said.floor ? said.floor : undefined,
    hands: hands.filter((hand) => typeof hand === 'string'),
  }
}

/** What one may ask of the classroom. Each throws Declined. */
export class Desk {
  readonly #room: Room

  constructor(room: Room) {
    this.#room = room
  }

  raiseHand(): Promise<void> {
    return this.#ask('raise_hand')
  }

  /** One's own, or with authority another's. */
  lowerHand(identity?: string): Promise<void> {
    return this.#ask('lower_hand', identity)
  }

  grant(identity: string): Promise<void> {
    return this.#ask('grant_floor', identity)
  }

  revoke(): Promise<void> {
    return this.#ask('revoke_floor')
  }

  async #ask(method: string, identity?: string): Promise<void> {
    const payload = identity === undefined ? '' : JSON.stringify({ identity })
    const request = { destinationIdentity: CLASSROOM, method, payload }
    try {
      await this.#room.localParticipant.performRpc(request)
    } catch (error) {
      const told = error instanceof RpcError && error.code === APPLICATION_ERROR
      throw new Declined(told ? error.message : '')
    }
  }
}

function fields(metadata: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const said: unknown = JSON.parse(metadata ?? '')
    return said && typeof said === 'object' ? (said as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
