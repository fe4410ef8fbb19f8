/** What a failed attempt means for a teacher and for a school. Pure. */
import { politeWait } from './backoff'
import { HttpError } from './http'
import { AFTER_BELL_MS, NoPath, type Verdict } from './link'

/** 409 at the start: an old session of this teacher is let go within seconds, another's is not. */
const TAKEN_ATTEMPTS = 6
/** Attempts without a way through before a first connection is given up. */
const PATH_ATTEMPTS = 3

export function judgeTeacher(error: unknown, wasLive: boolean, attempt: number): Verdict {
  const state = wasLive ? 'reconnecting' : 'connecting'
  if (error instanceof HttpError && error.status === 409)
    return wasLive || attempt < TAKEN_ATTEMPTS ? { state } : { state: 'error' }
  if (!mayPass(error)) return { state: 'error' }
  return wasLive || attempt < PATH_ATTEMPTS ? { state } : { state: 'error' }
}

export function judgeSchool(error: unknown, wasLive: boolean, random: number): Verdict {
  if (error instanceof HttpError && (error.status === 409 || error.status === 404))
    return wasLive
      ? { state: 'ended', afterMs: AFTER_BELL_MS }
      : { state: 'waiting', afterMs: politeWait(error.retryAfter, random) }
  if (!mayPass(error)) return { state: 'error' }
  return { state: wasLive ? 'reconnecting' : 'connecting' }
}

/** No answer, no path, a busy or restarting node: time may mend these, nothing else does. */
function mayPass(error: unknown): boolean {
  if (error instanceof HttpError) return error.status >= 500 || error.status === 429
  return error instanceof TypeError || error instanceof NoPath
}
