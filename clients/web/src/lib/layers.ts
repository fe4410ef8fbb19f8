/**
 * The camera in up to three sizes at once (simulcast, RFC 8853), so that the node can give each
 * school the one its line carries. The client of LiveKit names them from small to large: q, h, f.
 */
import { type TrackPublishOptions, VideoPreset } from 'livekit-client'

/**
 * A voice is sent without pauses, so that a line that carries nothing is known to be broken; what is
 * lost of it the node asks for again.
 */
export const VOICE: TrackPublishOptions = {
  audioPreset: { maxBitrate: 40_000 },
  dtx: false,
  red: false,
}

/** A size of the picture: what it is divided by, and what it is worth (bits/s, pictures/s). */
interface Layer {
  scale: number
  bps: number
  fps: number
}

/**
 * By the number of sizes: the smaller ones cost the sender's line a third more. The smallest has
 * half the pictures, which are the sharper for it.
 */
const LADDERS: Readonly<Record<1 | 2 | 3, readonly Layer[]>> = {
  3: [
    { scale: 4, bps: 150_000, fps: 15 },
    { scale: 2, bps: 500_000, fps: 30 },
    { scale: 1, bps: 1_800_000, fps: 30 },
  ],
  2: [
    { scale: 2, bps: 150_000, fps: 15 },
    { scale: 1, bps: 800_000, fps: 30 },
  ],
  1: [{ scale: 1, bps: 300_000, fps: 30 }],
}

/** The longer side from which the client of LiveKit sends three and two sizes, in pixels. */
const THREE_SIZES = 960
const TWO_SIZES = 480

/**
 * Every second picture can be left out: half a step for the allocation. Without a mode VP9 and AV1
 * would not be simulcast at all, but spatial layers of the first stream.
 */
const MODE = 'L1T2'

export interface Size {
  width?: number
  height?: number
}

/** How a camera of this size is published; one of unknown size is taken for a large one. Pure. */
export function cameraOptions({ width = 1280, height = 720 }: Size = {}): TrackPublishOptions {
  const [whole, ...smaller] = [...ladderOf(Math.max(width, height))].reverse()
  const { bps = 0, fps = 30 } = whole ?? {}
  return {
    simulcast: smaller.length > 0,
    scalabilityMode: MODE,
    videoEncoding: { maxBitrate: bps, maxFramerate: fps },
    videoSimulcastLayers: smaller
      .reverse()
      .map(
        (layer) =>
          new VideoPreset(
            Math.floor(width / layer.scale),
            Math.floor(height / layer.scale),
            layer.bps,
            layer.fps,
          ),
      ),
  }
}

function ladderOf(side: number): readonly Layer[] {
  return LADDERS[side >= THREE_SIZES ? 3 : side >= TWO_SIZES ? 2 : 1]
}

/** What TypeScript's table of the DOM lacks (WebRTC-SVC, section 5). */
interface Encoding extends RTCRtpEncodingParameters {
  scalabilityMode?: string
}

/** The mode for codecs whose streams are simulcast without one. */
export async function halve(sender: RTCRtpSender | undefined): Promise<void> {
  const parameters = sender?.getParameters()
  if (!parameters) return
  for (const encoding of parameters.encodings as Encoding[]) encoding.scalabilityMode ??= MODE
  // Refused by a browser that goes on with what was offered.
  await sender?.setParameters(parameters).catch(() => {})
}
