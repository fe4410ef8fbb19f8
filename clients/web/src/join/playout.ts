/**
 * How long sound and pictures wait before they are played: on a long way what was lost comes again
 * meanwhile. All receivers of a call wait alike, or the voice would run ahead of the pictures.
 */

/** `delay` in seconds, 0 for as soon as possible. Browsers without the setting choose by themselves. */
export function setPlayout(receivers: Iterable<RTCRtpReceiver>, delay: number): void {
  for (const receiver of receivers)
    if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = Math.round(delay * 1000)
}
