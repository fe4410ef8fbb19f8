/** What is said on the data channels. Pure. */

/** The node alone speaks here: nothing is passed on. */
export const NODE_CHANNEL = 'tongbu'
/** The teacher's page speaks here, the node passes it on to every school. */
export const TEACHER_CHANNEL = 'switches'

/** The teacher's switches: what a school should show in place of a black or a frozen picture. */
export interface Switches {
  camera: boolean
  slides: boolean
}

export type Picture = 'camera' | 'slides'

/** What the node says to a school. */
export type NodeSignal =
  | { type: 'ended' }
  /** The school's line is too narrow for this picture, or wide enough again. */
  | { type: 'quality'; source: Picture; state: 'paused' | 'playing' }
  /** How long sound and pictures should wait for what was lost on the way, in seconds. */
  | { type: 'playout'; delay: number }

export type TeacherSignal = { type: 'switches' } & Switches

/** The most that `jitterBufferTarget` takes (WebRTC Extensions, section 7.2), in seconds. */
const MOST_DELAY = 4

/** Parses what came on the node's channel; what it does not know is undefined. */
export function parseNodeSignal(data: unknown): NodeSignal | undefined {
  const said = fields(data)
  if (said?.type === 'ended') return { type: 'ended' }
  if (said?.type === 'quality') return quality(said)
  if (said?.type === 'playout') return playout(said)
  return undefined
}

/** Parses what came on the teacher's channel; what it does not know is undefined. */
export function parseTeacherSignal(data: unknown): TeacherSignal | undefined {
  const said = fields(data)
  if (said?.type !== 'switches') return undefined
  const { camera, slides } = said
  if (typeof camera !== 'boolean' || typeof slides !== 'boolean') return undefined
  return { type: 'switches', camera, slides }
}

type Fields = Readonly<Record<string, unknown>>

function fields(data: unknown): Fields | undefined {
  if (typeof data !== 'string') return undefined
  try {
    const said: unknown = JSON.parse(data)
    return said && typeof said === 'object' ? (said as Fields) : undefined
  } catch {
    return undefined
  }
}

function quality({ source, state }: Fields): NodeSignal | undefined {
  if (source !== 'camera' && source !== 'slides') return undefined
  if (state !== 'paused' && state !== 'playing') return undefined
  return { type: 'quality', source, state }
}

function playout({ delay }: Fields): NodeSignal | undefined {
  if (typeof delay !== 'number' || !(delay >= 0)) return undefined
  return { type: 'playout', delay: Math.min(delay, MOST_DELAY) }
}
