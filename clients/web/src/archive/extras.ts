/** What an archive may have besides media: chapters, thumbnails, what was written. It may be missing. */
import type { Entry } from '../lib/api'
import { ask } from '../lib/http'
import { type Chapter, chapters } from './chapters'
import { type Talk, talkOf } from './talk'
import { type Tile, tiles } from './thumbnails'
import { cues } from './vtt'

export async function chaptersOf({ chapters: url, duration_s }: Entry): Promise<Chapter[]> {
  return url ? chapters(cues(await fileOf(url)), duration_s) : []
}

export async function tilesOf({ thumbnails: url }: Entry): Promise<Tile[]> {
  return url ? tiles(cues(await fileOf(url)), new URL(url, location.href).href) : []
}

export async function talkIn({ talk }: Entry): Promise<Talk> {
  if (typeof talk !== 'string') return talkOf(talk)
  const text = await fileOf(talk)
  return text ? talkOf(JSON.parse(text)) : []
}

/** A file's text; '' when it cannot be had: the lesson plays without. */
export async function fileOf(url: string): Promise<string> {
  try {
    return await (await ask(url)).text()
  } catch {
    return ''
  }
}
