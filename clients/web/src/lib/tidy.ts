/** Text that others wrote, as it may be shown. Pure. */

/** Characters of a message. */
export const LONGEST = 1_000

/** What is shown of a text: no line without end, no invisible or turning characters. Pure. */
export function tidy(text: string): string {
  const plain = text.replace(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu, ' ').trim()
  const letters = [...plain]
  return letters.length > LONGEST ? `${letters.slice(0, LONGEST).join('')}…` : plain
}
