// A moving test pattern that a machine can judge: injected into every page of a browser test.
// The strip of cells is the one of clients/headless/marks.py, at the same place.

(() => {
  const WIDTH = 640
  const HEIGHT = 360
  const RATE = 30
  const STRIP = { x: 160 / 2, y: 656 / 2, cell: 24 / 2, cells: 22 }

  function bits(number) {
    const nibbles = (number & 15) + ((number >> 4) & 15) + ((number >> 8) & 15) + ((number >> 12) & 15)
    const word = number * 16 + (nibbles & 15)
    const digits = []
    for (let bit = 19; bit >= 0; bit--) digits.push(Math.floor(word / 2 ** bit) % 2)
    return [1, 0, ...digits]
  }

  function draw(context, number) {
    const colours = ['#2f5d8c', '#8c5d2f', '#2f8c5d', '#7a7a7a']
    for (let i = 0; i < 4; i++) {
      context.fillStyle = colours[(i + (number >> 5)) % 4]
      context.fillRect((i % 2) * (WIDTH / 2), (i >> 1) * (HEIGHT / 2), WIDTH / 2, HEIGHT / 2)
    }
    context.fillStyle = '#f0e8d0'
    context.fillRect((number * 6) % (WIDTH - 90), 110, 90, 90)
    bits(number).forEach((bit, i) => {
      context.fillStyle = bit ? '#fff' : '#000'
      context.fillRect(STRIP.x + i * STRIP.cell, STRIP.y, STRIP.cell, STRIP.cell)
    })
  }

  function canvas() {
    const made = document.createElement('canvas')
    made.width = WIDTH
    made.height = HEIGHT
    return made
  }

  function read(pixels) {
    const found = []
    const inner = Math.floor(STRIP.cell / 2)
    for (let i = 0; i < STRIP.cells; i++) {
      let sum = 0
      const x = Math.round(STRIP.x + (i + 0.25) * STRIP.cell)
      const y = Math.round(STRIP.y + 0.25 * STRIP.cell)
      for (let dy = 0; dy < inner; dy++)
        for (let dx = 0; dx < inner; dx++) sum += pixels[((y + dy) * WIDTH + x + dx) * 4 + 1]
      found.push(sum / (inner * inner))
    }
    if (found[0] - found[1] < 60) return null
    const digits = found.map((value) => (value > (found[0] + found[1]) / 2 ? 1 : 0))
    const number = digits.slice(2, 18).reduce((sum, bit) => sum * 2 + bit, 0)
    return bits(number).every((bit, i) => bit === digits[i]) ? number : null
  }

  // The camera of the teacher's page: the pattern, and a tone.
  const sent = { number: 0, at: [] }
  async function pattern(constraints) {
    const stream = new MediaStream()
    if (constraints.video) {
      const picture = canvas()
      const context = picture.getContext('2d')
      setInterval(() => {
        draw(context, ++sent.number)
        sent.at[sent.number] = Date.now()
      }, 1000 / RATE)
      draw(context, 0)
      stream.addTrack(picture.captureStream(RATE).getVideoTracks()[0])
    }
    if (constraints.audio) {
      const audio = new AudioContext()
      const tone = audio.createOscillator()
      const out = audio.createMediaStreamDestination()
      tone.connect(out)
      tone.start()
      stream.addTrack(out.stream.getAudioTracks()[0])
    }
    return stream
  }
  // The screen of the teacher's page: a still page.
  async function page() {
    const picture = canvas()
    const context = picture.getContext('2d')
    const write = () => {
      context.fillStyle = '#fff'
      context.fillRect(0, 0, WIDTH, HEIGHT)
      context.fillStyle = '#223'
      context.font = '40px serif'
      context.fillText('a² + b² = c²', 180, 190)
    }
    write()
    setInterval(write, 200)
    return picture.captureStream(5)
  }
  const useRealFakes = new URLSearchParams(location.search).has('devices')
  if (navigator.mediaDevices && !useRealFakes) navigator.mediaDevices.getUserMedia = pattern
  if (navigator.mediaDevices) navigator.mediaDevices.getDisplayMedia = page

  // Every connection of the page, for its statistics.
  const peers = []
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...options) {
      super(...options)
      peers.push(this)
    }
  }

  async function reports(type) {
    const found = []
    for (const peer of peers)
      for (const report of (await peer.getStats()).values())
        if (report.type === type) found.push({ ...report })
    return found
  }
  const inbound = () => reports('inbound-rtp')
  const outbound = () => reports('outbound-rtp')

  /** Mean difference per colour channel between a shown picture and the one that was drawn. */
  function difference(pixels, number) {
    const context = canvas().getContext('2d', { willReadFrequently: true })
    draw(context, number)
    const drawn = context.getImageData(0, 0, WIDTH, HEIGHT).data
    let sum = 0
    for (let i = 0; i < pixels.length; i += 4)
      for (let channel = 0; channel < 3; channel++)
        sum += Math.abs(pixels[i + channel] - drawn[i + channel])
    return sum / (WIDTH * HEIGHT * 3)
  }

  /** Looks at every picture a <video> shows: its number, when, and now and then all of it. */
  function watch(video) {
    const seen = []
    const context = canvas().getContext('2d', { willReadFrequently: true })
    const look = () => {
      context.drawImage(video, 0, 0, WIDTH, HEIGHT)
      const pixels = context.getImageData(0, 0, WIDTH, HEIGHT).data
      const number = read(pixels)
      const one = { number, at: Date.now(), time: video.currentTime }
      if (number !== null && seen.length % 10 === 0) one.difference = difference(pixels, number)
      seen.push(one)
      video.requestVideoFrameCallback(look)
    }
    video.requestVideoFrameCallback(look)
    return seen
  }

  globalThis.testPattern = { sent, inbound, outbound, watch, RATE }
})()
