/** What a key of the keyboard means to the player: as in the players people know. Pure. */

export type Command =
  | { name: 'toggle' | 'mute' | 'captions' | 'fullscreen' | 'help' | 'views' | 'swap' | 'share' }
  | { name: 'skip' | 'step' | 'volume' | 'speed' | 'chapter'; by: number }
  /** To a place: 0 is the start, 1 the end. */
  | { name: 'place'; at: number }

export interface Press {
  key: string
  ctrlKey: boolean
  altKey: boolean
  metaKey: boolean
  isComposing: boolean
}

/** What has the focus, as far as it takes keys for itself. */
export type Focus = 'none' | 'text' | 'button' | 'slider'

const SKIP_S = 10
const NUDGE_S = 5
const LOUDER = 0.1

/** A Chinese input method sends full-width signs. */
const WIDE: Readonly<Record<string, string>> = {
  '《': '<',
  '》': '>',
  '？': '?',
  '，': ',',
  '。': '.',
  '　': ' ',
}

const COMMANDS: Readonly<Record<string, Command>> = {
  ' ': { name: 'toggle' },
  k: { name: 'toggle' },
  j: { name: 'skip', by: -SKIP_S },
  l: { name: 'skip', by: SKIP_S },
  ArrowLeft: { name: 'skip', by: -NUDGE_S },
  ArrowRight: { name: 'skip', by: NUDGE_S },
  ArrowUp: { name: 'volume', by: LOUDER },
  ArrowDown: { name: 'volume', by: -LOUDER },
  ',': { name: 'step', by: -1 },
  '.': { name: 'step', by: 1 },
  '<': { name: 'speed', by: -1 },
  '>': { name: 'speed', by: 1 },
  n: { name: 'chapter', by: 1 },
  p: { name: 'chapter', by: -1 },
  m: { name: 'mute' },
  c: { name: 'captions' },
  f: { name: 'fullscreen' },
  v: { name: 'views' },
  x: { name: 'swap' },
  s: { name: 'share' },
  '?': { name: 'help' },
  Home: { name: 'place', at: 0 },
  End: { name: 'place', at: 1 },
}

/** The command of a key press; undefined when it means nothing, or something else, here. */
export function command(press: Press, focus: Focus): Command | undefined {
  if (press.ctrlKey || press.altKey || press.metaKey || press.isComposing) return undefined
  const key = WIDE[press.key] ?? (press.key.length === 1 ? press.key.toLowerCase() : press.key)
  if (focus === 'text') return undefined
  if (focus === 'button' && key === ' ') return undefined
  if (focus === 'slider' && /^(?:Arrow|Home|End)/.test(key)) return undefined
  if (/^\d$/.test(key)) return { name: 'place', at: Number(key) / 10 }
  return Object.hasOwn(COMMANDS, key) ? COMMANDS[key] : undefined
}
