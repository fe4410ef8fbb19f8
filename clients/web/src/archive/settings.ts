/** How hls.js is to load; each figure with its reason. */
import type { HlsConfig } from 'hls.js'

export const CONFIG: Partial<HlsConfig> = {
  // The smallest of several qualities first: a picture soon, a better one when the link has shown itself.
  startLevel: 0,
  abrEwmaDefaultEstimate: 300_000,
  testBandwidth: false,
  startFragPrefetch: true,
  // Ahead of the playhead: enough for a link that comes and goes, little enough for a phone and for
  // a school that pays by the megabyte and leaves after ten minutes.
  maxBufferLength: 30,
  maxMaxBufferLength: 90,
  maxBufferSize: 40_000_000,
  // Behind it: enough to say "once more".
  backBufferLength: 90,
  // A live lesson comes in parts of a fifth of a second, and its playlist says how near to its end one
  // plays smoothly (PART-HOLD-BACK). No liveSync... of our own: hls.js would believe that instead.
  lowLatencyMode: true,
}
