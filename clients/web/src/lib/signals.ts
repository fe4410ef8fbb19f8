/** What is said on the data channels. Pure. */

/** The node speaks here: `{"type":"ended"}`. */
export const NODE_CHANNEL = 'tongbu'
/** The teacher's page speaks here, the node passes it on to every school. */
export const TEACHER_CHANNEL = 'switches'

/** The teacher's switches: what a school should show in place of a black or a frozen picture. */
export interface Switches {
  camera: boolean
  slides: boolean
}

export type Signal = { type: 'ended' } | ({ type: 'switches' } & Switches)

/** Parses a message; anything else on the channel is somebody else's and is undefined. */
export function parseSignal(data: unknown): Signal | undefined {
  if (typeof data !== 'string') return undefined
  try {
    const said: unknown = JSON.parse(data)
    if (!said || typeof said !== 'object' || !('type' in said)) return undefined
    if (said.type === 'ended') return { type: 'ended' }
    if (said.type === 'switches') return switches(said)
  } catch {
    // Not JSON.
  }
  return undefined
}

function switches(said: object): Signal | undefined {
  const { camera, slides } = said as { camera?: unknown; slides?: unknown }
  if (typeof camera !== 'boolean' || typeof slides !== 'boolean') return undefined
  return { type: 'switches', camera, slides }
}
