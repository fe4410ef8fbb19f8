/**
 * The camera in up to three sizes at once (simulcast, RFC 8853), so that the node can give each
 * school the one its line carries. The streams are named from small to large: q, h, f. Pure.
 */

/** A size of the picture: what it is divided by, and what it is worth (bits/s, pictures/s). */
interface Layer {
  scale: number
  bps: number
  fps: number
}

const RIDS = ['q', 'h', 'f'] as const

const WHOLE: Layer = { scale: 1, bps: 1_800_000, fps: 30 }
/**
 * By the number of sizes: the smaller ones cost the teacher's line a third more. The smallest has
 * half the pictures, which are the sharper for it.
 */
const LADDERS: Readonly<Record<1 | 2 | 3, readonly Layer[]>> = {
  3: [{ scale: 4, bps: 150_000, fps: 15 }, { scale: 2, bps: 500_000, fps: 30 }, WHOLE],
  2: [
    { scale: 2, bps: 150_000, fps: 15 },
    { scale: 1, bps: 800_000, fps: 30 },
  ],
  1: [{ scale: 1, bps: 300_000, fps: 30 }],
}

/**
 * Pixels from which libwebrtc sends three and two sizes. Below them it leaves out the last of the
 * list, which is the largest: so a small camera must be given a shorter list.
 */
const THREE_SIZES = 960 * 540
const TWO_SIZES = 480 * 270

/**
 * Every second picture can be left out: half a step for the allocation. Without a mode VP9 and AV1
 * would not be simulcast at all, but spatial layers of the first stream.
 */
const MODE = 'L1T2'

/** What TypeScript's table of the DOM lacks (WebRTC-SVC, section 5). */
export interface Encoding extends RTCRtpEncodingParameters {
  scalabilityMode?: string
}

export interface Size {
  width?: number
  height?: number
}

/** What is offered for a camera; one of unknown size is taken for a large one. */
export function cameraEncodings(size: Size | undefined): Encoding[] {
  const ladder = ladderOf(size)
  return RIDS.map((rid, at) => ({ rid, scalabilityMode: MODE, ...encoding(ladder[at]) }))
}

/** Adds the camera in its sizes, or in one where the browser refuses several. */
export function addCamera<T>(size: Size | undefined, add: (encodings: Encoding[]) => T): T {
  try {
    return add(cameraEncodings(size))
  } catch {
    return add([encoding(WHOLE)])
  }
}

/** The same encodings for another camera, or once it is known what became of them. */
export function fitCamera<T extends Encoding>(
  encodings: readonly T[],
  size: Size | undefined,
  codec: string | undefined,
): T[] {
  const ladder = isSimulcast(encodings, codec) ? ladderOf(size) : [WHOLE]
  return encodings.map((one, at) => ({ ...one, ...encoding(ladder[at]) }))
}

/** Who turned simulcast down left one encoding; a browser without modes has it for two codecs. */
function isSimulcast(encodings: readonly Encoding[], codec = ''): boolean {
  if (encodings.length < RIDS.length) return false
  return encodings[0]?.scalabilityMode !== undefined || !/vp9|av1/i.test(codec)
}

function ladderOf({ width = 0, height = 0 }: Size = {}): readonly Layer[] {
  const pixels = width * height || THREE_SIZES
  return LADDERS[pixels >= THREE_SIZES ? 3 : pixels >= TWO_SIZES ? 2 : 1]
}

function encoding(layer: Layer | undefined): Encoding {
  const { scale, bps, fps } = layer ?? WHOLE
  return {
    active: layer !== undefined,
    scaleResolutionDownBy: scale,
    maxBitrate: bps,
    maxFramerate: fps,
  }
}
