// Numbers written into pictures as black and white cells, so that they survive a codec.
// A white and a black cell lead, 16 bits of the number and the sum of its nibbles follow.

const MARK_CELLS = 22

function markBits(number) {
  const sum = (number & 15) + ((number >> 4) & 15) + ((number >> 8) & 15) + ((number >> 12) & 15)
  const word = number * 16 + (sum & 15)
  const bits = [1, 0]
  for (let bit = 19; bit >= 0; bit--) bits.push(Math.floor(word / 2 ** bit) % 2)
  return bits
}

/** Writes `number` (0-65535) with its left upper corner at x, y. */
function drawMark(context, x, y, cell, number) {
  markBits(number).forEach((bit, i) => {
    context.fillStyle = bit ? '#fff' : '#000'
    context.fillRect(x + i * cell, y, cell, cell)
  })
}

/** The number in RGBA pixels that hold the mark alone, one cell high; null if none can be trusted. */
function readMark(pixels, width, height) {
  const cell = width / MARK_CELLS
  const values = []
  for (let i = 0; i < MARK_CELLS; i++) {
    let sum = 0
    let count = 0
    for (let y = Math.floor(height * 0.25); y < Math.ceil(height * 0.75); y++)
      for (let x = Math.floor((i + 0.25) * cell); x < Math.ceil((i + 0.75) * cell); x++) {
        sum += pixels[(y * width + x) * 4 + 1]
        count++
      }
    values.push(sum / count)
  }
  if (values[0] - values[1] < 60) return null
  const bits = values.map((value) => (value > (values[0] + values[1]) / 2 ? 1 : 0))
  const number = bits.slice(2, 18).reduce((sum, bit) => sum * 2 + bit, 0)
  return markBits(number).every((bit, i) => bit === bits[i]) ? number : null
}
