/** Cameras, microphones and the screen: what was picked, and the tracks it gives. */

import type { Key } from './i18n'
import { deviceSentence } from './sentences'

export interface Picked {
  /** A device id, `` for the browser's choice, or NONE. */
  camera: string
  microphone: string
}

export interface Tracks {
  camera: MediaStreamTrack | null
  microphone: MediaStreamTrack | null
}

/** The picker's value for "no such device, please". */
export const NONE = 'none'

/** 720p30 carries a face and a blackboard over a rural uplink. */
const CAMERA: MediaTrackConstraints = {
  width: { ideal: 1280 },
  height: { ideal: 720 },
  frameRate: { ideal: 30, max: 30 },
}
const VOICE: MediaTrackConstraints = {
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
}
/** Slides need pixels, not motion: 15 frames a second still show a pointer well. */
const SCREEN: MediaTrackConstraints = {
  width: { max: 1920 },
  height: { max: 1080 },
  frameRate: { ideal: 15, max: 15 },
}

/** Browsers hide all devices from pages that are neither https nor local. */
export function devicesAllowed(): boolean {
  return navigator.mediaDevices !== undefined
}

export function screenAllowed(): boolean {
  return devicesAllowed() && 'getDisplayMedia' in navigator.mediaDevices
}

/**
 * Opens what was picked: both in one question to the user; when that fails, each by itself, so that a
 * missing camera does not take the microphone along. `problem` is the first thing that is missing.
 */
export async function openDevices(
  picked: Picked,
  usual: MediaTrackConstraints = CAMERA,
): Promise<Tracks & { problem?: Key }> {
  if (!devicesAllowed()) return { camera: null, microphone: null, problem: 'error.insecure' }
  const [video, audio] = [wish(picked.camera, usual), wish(picked.microphone, VOICE)]
  if (!video && !audio) return { camera: null, microphone: null }
  try {
    return split(await navigator.mediaDevices.getUserMedia({ video, audio }))
  } catch (error) {
    const name = errorName(error)
    if (!video || !audio || name === 'NotAllowedError')
      return {
        camera: null,
        microphone: null,
        problem: deviceSentence(name, video ? 'camera' : 'microphone'),
      }
  }
  return eachAlone(video, audio)
}

/** Asks for the screen; null when the teacher changed their mind. */
export async function openScreen(): Promise<MediaStreamTrack | null> {
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: SCREEN, audio: false })
    const track = stream.getVideoTracks()[0] ?? null
    if (track) track.contentHint = 'text'
    return track
  } catch (error) {
    if (errorName(error) === 'NotAllowedError') return null
    throw error
  }
}

export async function listDevices(): Promise<{
  cameras: MediaDeviceInfo[]
  microphones: MediaDeviceInfo[]
}> {
  const all = devicesAllowed() ? await navigator.mediaDevices.enumerateDevices() : []
  return {
    cameras: all.filter((device) => device.kind === 'videoinput'),
    microphones: all.filter((device) => device.kind === 'audioinput'),
  }
}

async function eachAlone(
  video: MediaTrackConstraints | false,
  audio: MediaTrackConstraints | false,
): Promise<Tracks & { problem?: Key }> {
  const result: Tracks & { problem?: Key } = { camera: null, microphone: null }
  try {
    result.microphone = split(await navigator.mediaDevices.getUserMedia({ audio })).microphone
  } catch (error) {
    result.problem = deviceSentence(errorName(error), 'microphone')
  }
  try {
    result.camera = split(await navigator.mediaDevices.getUserMedia({ video })).camera
  } catch (error) {
    result.problem ??= deviceSentence(errorName(error), 'camera')
  }
  return result
}

function wish(picked: string, usual: MediaTrackConstraints): MediaTrackConstraints | false {
  if (picked === NONE) return false
  return picked ? { ...usual, deviceId: { exact: picked } } : usual
}

function split(stream: MediaStream): Tracks {
  const camera = stream.getVideoTracks()[0] ?? null
  if (camera) camera.contentHint = 'motion'
  return { camera, microphone: stream.getAudioTracks()[0] ?? null }
}

function errorName(error: unknown): string {
  return error instanceof DOMException ? error.name : ''
}
