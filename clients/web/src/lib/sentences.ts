/** Every error as one plain sentence: what happened and what to do. Pure. */
import { NoLink } from './auth'
import { HttpError } from './http'
import type { Key, Params } from './i18n'
import { Elsewhere, NoPath, Removed } from './link'

/** The browser lacks this codec, or the node refused it. */
export class NoCodec extends Error {
  constructor(readonly codec: string) {
    super(codec)
  }
}

/** The browser has no WebRTC at all. */
export class NoWebrtc extends Error {}

export interface Sentence {
  key: Key
  params?: Params
}

export function sentence(error: unknown): Sentence {
  if (error instanceof NoLink) return { key: 'error.noLink' }
  if (error instanceof NoCodec) return { key: 'error.codec', params: { codec: error.codec } }
  if (error instanceof NoWebrtc) return { key: 'error.noWebrtc' }
  if (error instanceof Elsewhere) return { key: 'error.elsewhere' }
  if (error instanceof Removed) return { key: 'error.removed' }
  if (error instanceof NoPath) return { key: 'error.noPath' }
  if (error instanceof HttpError) return ofStatus(error)
  // fetch rejects with TypeError when nobody answers (Fetch standard, "network error").
  if (error instanceof TypeError) return { key: 'error.offline' }
  return { key: 'error.unknown' }
}

/** Errors of getUserMedia, by their DOMException names (Media Capture and Streams, 10.3). */
export function deviceSentence(name: string, missing: 'camera' | 'microphone'): Key {
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'error.refusedDevices'
  if (name === 'NotReadableError' || name === 'AbortError') return 'error.busyDevices'
  return missing === 'camera' ? 'error.noCamera' : 'error.noMicrophone'
}

function ofStatus({ status, detail }: HttpError): Sentence {
  if (status === 401) return { key: 'error.expired' }
  if (status === 403) return { key: 'error.forbidden' }
  if (status === 404) return { key: 'error.notFound' }
  if (status === 409) return { key: 'error.taken' }
  if (status >= 500) return { key: 'error.server' }
  return { key: 'error.refused', params: { reason: detail } }
}
