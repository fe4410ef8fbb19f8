/** Names of lessons, as they stand in addresses. Pure. */

const NAME = /^[\p{L}\p{N}_-]{1,64}$/u

export function isLessonName(name: string): boolean {
  return NAME.test(name)
}

/** What a teacher typed, as a lesson name: spaces become `-`, what no name may hold is dropped. */
export function lessonName(typed: string): string {
  const joined = typed.trim().normalize('NFC').replace(/\s+/g, '-')
  return [...joined.replace(/[^\p{L}\p{N}_-]/gu, '')].slice(0, 64).join('')
}

/** The part after the page's own name: `/join/math` -> `math`, `/archive` -> ``. */
export function pathName(pathname: string): string {
  const part = pathname.split('/')[2] ?? ''
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

export function joinPath(lesson: string): string {
  return `/join/${encodeURIComponent(lesson)}`
}
