/**
 * Tokens: from the link's fragment (`#token=...`, kept for this tab and taken out of the address),
 * otherwise from a node that runs with --dev.
 */
import { ask, HttpError } from './http'

export type Role = 'teacher' | 'school' | 'archivist'

/** No link, and the node gives no tokens away. */
export class NoLink extends Error {}

/** What a token says; read without checking its signature, which is the node's affair. */
export interface Claims {
  name?: string
  room?: string
  /** Unix seconds. */
  expires?: number
}

const LINK = 'tongbu.token'
const MARGIN_S = 30

/** Moves a token from the address to this tab's memory. Call before anything reads the address. */
export function keepLinkToken(): void {
  const found = fragmentToken(location.hash)
  if (!found) return
  sessionStorage.setItem(LINK, found)
  history.replaceState(history.state, '', location.pathname + location.search)
}

export function fragmentToken(hash: string): string | undefined {
  return new URLSearchParams(hash.replace(/^#/, '')).get('token') ?? undefined
}

/** What the link's token says, if the page was opened by one. */
export function linkClaims(): Claims | undefined {
  const token = sessionStorage.getItem(LINK)
  return token ? claims(token) : undefined
}

/** A token for this role in this lesson. Throws NoLink, or HttpError 401 when it has expired. */
export async function tokenFor(role: Role, lesson: string, now = Date.now()): Promise<string> {
  const linked = sessionStorage.getItem(LINK)
  if (linked) {
    if (!fresh(linked, now)) throw new HttpError(401, 'expired')
    return linked
  }
  const slot = `${LINK}.${role}.${lesson}`
  const known = sessionStorage.getItem(slot)
  if (known && fresh(known, now)) return known
  const made = await developerToken(role, lesson)
  sessionStorage.setItem(slot, made)
  return made
}

/** Sets the cookie by which <img>, <video> and hls.js may load the archive. */
export async function openSession(token: string): Promise<void> {
  await ask('/api/session', { method: 'POST', token })
}

export function claims(token: string): Claims | undefined {
  try {
    const body = (token.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/')
    const bytes = Uint8Array.from(atob(body), (char) => char.charCodeAt(0))
    return pick(JSON.parse(new TextDecoder().decode(bytes)))
  } catch {
    return undefined
  }
}

function pick(payload: { name?: unknown; exp?: unknown; video?: { room?: unknown } }): Claims {
  const found: Claims = {}
  if (typeof payload.name === 'string') found.name = payload.name
  if (typeof payload.video?.room === 'string') found.room = payload.video.room
  if (typeof payload.exp === 'number') found.expires = payload.exp
  return found
}

function fresh(token: string, now: number): boolean {
  const expires = claims(token)?.expires
  return expires === undefined || expires - MARGIN_S > now / 1000
}

/** A teacher who opens another window is the same teacher; each school is another. */
async function developerToken(role: Role, lesson: string): Promise<string> {
  const who = role === 'teacher' ? { name: role } : {}
  try {
    const answer = await ask('/api/dev/token', { json: { lesson, role, ...who } })
    const { token }: { token: string } = await answer.json()
    return token
  } catch (error) {
    if (error instanceof HttpError && error.status === 404) throw new NoLink()
    throw error
  }
}
