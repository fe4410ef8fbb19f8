/** One way to speak to the node, and the errors it can answer with. */

/** The node answered, but not with success. `detail` is its own sentence, if it gave one. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    /** Seconds, from Retry-After; undefined when the node named none. */
    readonly retryAfter: number | undefined = undefined,
  ) {
    super(`${status} ${detail}`)
  }
}

export interface Ask {
  method?: string
  token?: string | undefined
  /** Sent as JSON. */
  json?: unknown
  signal?: AbortSignal
}

/** Fetches; throws HttpError for a status of 400 or more, TypeError when nobody answers. */
export async function ask(
  url: string,
  { method, token, json, signal }: Ask = {},
): Promise<Response> {
  const headers = new Headers()
  if (token) headers.set('Authorization', `Bearer ${token}`)
  if (json !== undefined) headers.set('Content-Type', 'application/json')
  const body = json === undefined ? null : JSON.stringify(json)
  const request: RequestInit = { method: method ?? (body === null ? 'GET' : 'POST'), headers, body }
  const response = await fetch(url, signal ? { ...request, signal } : request)
  if (response.ok) return response
  throw new HttpError(response.status, await detail(response), retryAfter(response.headers))
}

/** Retry-After in seconds (RFC 9110, 10.2.3: only the delay form is used by Tongbu). */
export function retryAfter(headers: Headers): number | undefined {
  const value = headers.get('Retry-After')?.trim() ?? ''
  return /^\d+$/.test(value) ? Number(value) : undefined
}

async function detail(response: Response): Promise<string> {
  const text = await response.text().catch(() => '')
  try {
    const parsed: unknown = JSON.parse(text)
    if (parsed && typeof parsed === 'object' && 'error' in parsed) return String(parsed.error)
  } catch {
    // Not JSON: a proxy's page, perhaps. Its status tells enough.
  }
  return response.statusText
}
