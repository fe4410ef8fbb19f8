/** WHIP (RFC 9725) and WHEP: one offer posted, one answer set, one resource to hang up. */
import { ask } from './http'

export interface Endpoint {
  /** `/<lesson>/whip` or `/<lesson>/whep`. */
  url: string
  token: string
}

/** What is changed in the descriptions on their way: the offer that is sent, the answer that is set. */
export interface Dress {
  offer(sdp: string): string
  answer(sdp: string): string
}

const same = (sdp: string) => sdp

/** One connection and the resource the node made for it. */
export interface Call {
  peer: RTCPeerConnection
  /** Absolute URL of the session. */
  resource: string
  answer: string
}

/**
 * Offers and sets the answer. The node is ICE-lite, all its candidates are in the answer, and it
 * learns ours from our checks: so nothing is gathered first and nothing is trickled.
 * Closes the peer if it fails.
 */
export async function dial(
  peer: RTCPeerConnection,
  { url, token }: Endpoint,
  signal: AbortSignal,
  dress: Partial<Dress> = {},
): Promise<Call> {
  try {
    await peer.setLocalDescription()
    const { offer = same, answer: read = same } = dress
    const sdp = offer(peer.localDescription?.sdp ?? '')
    const response = await ask(url, { sdp, token, signal })
    const answer = await response.text()
    const resource = new URL(response.headers.get('Location') ?? url, response.url || location.href)
    await peer.setRemoteDescription({ type: 'answer', sdp: read(answer) })
    return { peer, resource: resource.href, answer }
  } catch (error) {
    peer.close()
    throw error
  }
}

/** Ends the session; for a teacher this ends the lesson. */
export async function hangUp(call: Call, token: string): Promise<void> {
  await ask(call.resource, { method: 'DELETE', token })
}

export function endpoint(lesson: string, way: 'whip' | 'whep', token: string): Endpoint {
  return { url: `/${encodeURIComponent(lesson)}/${way}`, token }
}
