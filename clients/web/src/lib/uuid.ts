/**
 * Random names on plain http, where many a classroom's node is: browsers keep `crypto.randomUUID`
 * for secure pages, and the client of LiveKit needs it for every message.
 */

type Uuid = ReturnType<Crypto['randomUUID']>

export function haveRandomNames(): void {
  if (!('randomUUID' in crypto)) Object.assign(crypto, { randomUUID: () => version4(random()) })
}

/** A version 4 UUID of 16 random bytes (RFC 9562, section 5.4). Pure. */
export function version4(bytes: Uint8Array): Uuid {
  const hex = [...bytes].map((byte, at) => marked(byte, at).toString(16).padStart(2, '0')).join('')
  const [a, b, c, d, e] = [
    [0, 8],
    [8, 12],
    [12, 16],
    [16, 20],
    [20, 32],
  ].map(([from, to]) => hex.slice(from, to))
  return `${a}-${b}-${c}-${d}-${e}`
}

function marked(byte: number, at: number): number {
  if (at === 6) return (byte & 0x0f) | 0x40
  return at === 8 ? (byte & 0x3f) | 0x80 : byte
}

function random(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(16))
}
