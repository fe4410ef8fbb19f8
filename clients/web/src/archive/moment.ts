/** A moment of a lesson in an address: `#t=125`, `#t=2m5s`, `#t=1:02:03`, or the same as `?t=`. Pure. */

const SECONDS = /^\d{1,6}(?:\.\d+)?$/
const CLOCK = /^(?:(\d{1,3}):)?(\d{1,3}):(\d{1,2}(?:\.\d+)?)$/
const UNITS = /^(?=\d)(?:(\d{1,3})h)?(?:(\d{1,4})m)?(?:(\d{1,6}(?:\.\d+)?)s)?$/

/** Seconds of the lesson that an address names; undefined when it names none. */
export function moment({ hash, search }: { hash: string; search: string }): number | undefined {
  const named = [hash, search].map((part) =>
    new URLSearchParams(part.replace(/^[#?]/, '')).get('t'),
  )
  return named.map((text) => seconds(text ?? '')).find((found) => found !== undefined)
}

/** What people write for a time: `125`, `2m5s`, `2:05`. */
export function seconds(text: string): number | undefined {
  if (SECONDS.test(text)) return Number(text)
  const parts = CLOCK.exec(text) ?? UNITS.exec(text)
  if (!parts) return undefined
  const [hours = 0, minutes = 0, rest = 0] = parts.slice(1).map((part) => Number(part ?? 0))
  return hours * 3600 + minutes * 60 + rest
}

/** The address that opens this page at that moment, whole seconds. */
export function linkTo({ origin, pathname }: { origin: string; pathname: string }, at: number) {
  return `${origin}${pathname}#t=${Math.max(0, Math.floor(at))}`
}
