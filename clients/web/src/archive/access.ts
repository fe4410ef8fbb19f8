/** The archive's key: a token for the API, and the cookie for pictures and playlists. */
import { NoLink, openSession, tokenFor } from '../lib/auth'
import { byId, say, show } from '../lib/dom'
import { sentence } from '../lib/sentences'
import { askForLink } from '../lib/shell'

/** The token, once the session's cookie is set. */
export async function enter(): Promise<string> {
  const token = await archiveToken()
  await openSession(token)
  return token
}

/** A developer's token names a lesson, but an archivist reads all of them. */
export function archiveToken(): Promise<string> {
  return tokenFor('archivist', 'archive')
}

export function showError(error: unknown): void {
  if (error instanceof NoLink) {
    askForLink()
    return
  }
  const { key, params } = sentence(error)
  const alert = byId('alert', HTMLElement)
  say(alert, key, params)
  show(alert, true)
}

export function clearError(): void {
  show(byId('alert', HTMLElement), false)
}
