/** Times for people. Pure. */

/** Seconds as a clock: `0:05`, `12:34`, `1:02:03`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const two = (n: number) => String(n).padStart(2, '0')
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`
}

/** How long a lesson was, rounded as people say it: under 90 s in seconds, then in minutes. */
export function span(seconds: number): { unit: 'seconds' | 'minutes'; n: number } {
  if (seconds < 90) return { unit: 'seconds', n: Math.max(0, Math.round(seconds)) }
  return { unit: 'minutes', n: Math.round(seconds / 60) }
}
