// A worker that looks at every decoded picture of one track: which one it is, when it came, and,
// for slides, how near it is to the page that was shown.

const LOOKS = { camera: { width: 960, height: 540, mark: { x: 24, y: 510, cell: 14 } }, slides: SLIDE }
const LEGIBLE_DB = 35
const LOOK_AGAIN_MS = 1000
const KEPT_PAGES = 3
const CAPTURED = { primaries: 'bt709', transfer: 'iec61966-2-1', matrix: 'bt709', fullRange: true }

const pages = new Map()
const strip = new OffscreenCanvas(MARK_CELLS * 8, 8).getContext('2d', { willReadFrequently: true })
const sheet = new OffscreenCanvas(TEXT.width, TEXT.height).getContext('2d', {
  willReadFrequently: true,
  alpha: false,
})
let rows = []
let legible = -1
let lookedAt = 0

onmessage = async ({ data }) => {
  if (data.readable) return watch(data.source, data.readable)
  postMessage(rows)
  rows = []
}

async function watch(source, readable) {
  const reader = readable.getReader()
  for (;;) {
    const { value: frame, done } = await reader.read()
    if (done) return
    const at = Date.now()
    const number = mark(frame, LOOKS[source])
    const psnr = source === 'slides' && number !== null ? await judge(frame, number, at) : null
    rows.push([at, number, frame.displayWidth, psnr])
    frame.close()
  }
}

function mark(frame, { width, height, mark: { x, y, cell } }) {
  const sx = frame.displayWidth / width
  const sy = frame.displayHeight / height
  const { canvas } = strip
  strip.drawImage(frame, x * sx, y * sy, MARK_CELLS * cell * sx, cell * sy, 0, 0, canvas.width, canvas.height)
  const { data } = strip.getImageData(0, 0, canvas.width, canvas.height)
  return readMark(data, canvas.width, canvas.height)
}

/** PSNR of the text in decibels; null where nobody needs to know: it was legible a moment ago. */
async function judge(decoded, page, at) {
  if (page === legible && at - lookedAt < LOOK_AGAIN_MS) return null
  lookedAt = at
  const frame = await recoloured(decoded)
  const [sx, sy] = [frame.displayWidth / SLIDE.width, frame.displayHeight / SLIDE.height]
  sheet.drawImage(frame, TEXT.x * sx, TEXT.y * sy, TEXT.width * sx, TEXT.height * sy, 0, 0, TEXT.width, TEXT.height)
  frame.close()
  const psnr = likeness(luma(sheet.getImageData(0, 0, TEXT.width, TEXT.height).data), reference(page))
  if (psnr >= LEGIBLE_DB) legible = page
  return psnr
}

/**
 * The picture in the colours that the teacher's canvas was captured in. Where a server does not pass
 * the RTP extension that tells of them, browsers guess others, which are as legible.
 */
async function recoloured(frame) {
  const octets = new Uint8Array(frame.allocationSize())
  const layout = await frame.copyTo(octets)
  const { format, timestamp, visibleRect } = frame
  const size = { codedWidth: visibleRect.width, codedHeight: visibleRect.height }
  return new VideoFrame(octets, { format, layout, timestamp, colorSpace: CAPTURED, ...size })
}

function reference(page) {
  if (!pages.has(page)) {
    const context = new OffscreenCanvas(SLIDE.width, SLIDE.height).getContext('2d', {
      willReadFrequently: true,
      alpha: false,
    })
    drawSlide(context, page)
    pages.set(page, luma(context.getImageData(TEXT.x, TEXT.y, TEXT.width, TEXT.height).data))
    if (pages.size > KEPT_PAGES) pages.delete(pages.keys().next().value)
  }
  return pages.get(page)
}

/** BT.601 luma of RGBA pixels. */
function luma(pixels) {
  const plane = new Uint8Array(pixels.length / 4)
  for (let i = 0, j = 0; j < plane.length; i += 4, j++)
    plane[j] = (pixels[i] * 77 + pixels[i + 1] * 150 + pixels[i + 2] * 29 + 128) >> 8
  return plane
}

function likeness(one, other) {
  let sum = 0
  for (let i = 0; i < one.length; i++) {
    const difference = one[i] - other[i]
    sum += difference * difference
  }
  return sum === 0 ? 99 : 10 * Math.log10((255 * 255 * one.length) / sum)
}
