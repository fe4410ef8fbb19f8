/** What is asked of the archive, as the address bar and the node have it. */
import type { Entry } from '../lib/api'
import { ask } from '../lib/http'

export const FACETS = ['school', 'subject', 'grade', 'teacher', 'series', 'language'] as const
export type Facet = (typeof FACETS)[number]

export const SORTS = ['best', 'newest', 'oldest', 'longest'] as const
export type Sort = (typeof SORTS)[number]

/** Words, one value at most of each facet, and an order. */
export interface Wish {
  q: string
  chosen: Readonly<Partial<Record<Facet, string>>>
  sort: Sort
}

/** Where a lesson has what was looked for; `parts` are plain, found, plain, found ... */
export interface Passage {
  in: string
  parts: readonly string[]
  /** Of a message: seconds of the lesson. */
  t?: number
  name?: string
}

export type Found = Entry & Readonly<Record<Facet, string>> & { found?: readonly Passage[] }

export interface Counted {
  value: string
  count: number
}

export interface Answer {
  lessons: Found[]
  total: number
  facets: Readonly<Record<Facet, readonly Counted[]>>
}

/** What an address means; what it cannot mean is left out. Pure. */
export function wishOf(search: string): Wish {
  const query = new URLSearchParams(search)
  const given = FACETS.map((facet) => [facet, query.get(facet)] as const)
  const sort = SORTS.find((known) => known === query.get('sort')) ?? 'best'
  return { q: query.get('q') ?? '', chosen: Object.fromEntries(given.filter(([, v]) => v)), sort }
}

/** The inverse: nothing is said that goes without saying. Pure. */
export function queryOf({ q, chosen, sort }: Wish): URLSearchParams {
  const query = new URLSearchParams()
  if (q.trim()) query.set('q', q.trim())
  for (const facet of FACETS) if (chosen[facet]) query.set(facet, chosen[facet])
  if (sort !== 'best') query.set('sort', sort)
  return query
}

/** Whether it asks for less than everything. */
export function isNarrow({ q, chosen }: Wish): boolean {
  return q.trim() !== '' || Object.keys(chosen).length > 0
}

/** The values to choose from: the chosen one is there even where nothing has it. Pure. */
export function choicesOf(counted: readonly Counted[], chosen: string | undefined): Counted[] {
  const known = counted.some(({ value }) => value === chosen)
  return chosen === undefined || known ? [...counted] : [{ value: chosen, count: 0 }, ...counted]
}

/** Counting costs the node more than finding: `counted` is what is known of this wish already. */
export async function search(
  token: string,
  wish: Wish,
  limit: number,
  counted?: Answer['facets'],
): Promise<Answer> {
  const query = queryOf(wish)
  query.set('limit', String(limit))
  if (!counted) query.set('facets', '1')
  const answer = await (await ask(`/api/archive?${query}`, { token })).json()
  return { facets: counted, ...answer }
}
