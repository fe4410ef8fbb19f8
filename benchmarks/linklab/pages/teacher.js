// A teacher for the lab: a voice that never pauses, a camera that moves, and slides that flip.
// `linklab.teach` makes the media and offers them; `linklab.taught` tells what was shown when.

const CAMERA = { width: 960, height: 540, mark: { x: 24, y: 510, cell: 14 } }
const AUDIO_BPS = 40_000
const SLIDES_BPS = 5_000_000 // a page in VP8 is legible with its first picture then, not with its sixth
const CHANNELS = ['tongbu', 'switches']
const START_KBPS = 3_000
const MODE = { scalabilityMode: 'L1T1' } // without one VP9 and AV1 are not simulcast
const LAYERS = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 120_000, ...MODE },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 400_000, ...MODE },
  { rid: 'f', scaleResolutionDownBy: 1, maxBitrate: 1_200_000, ...MODE },
]

const taught = { cameraAt: [], flips: [] }
let peer
let other

function canvas(width, height) {
  const made = document.createElement('canvas')
  made.width = width
  made.height = height
  return made.getContext('2d', { alpha: false })
}

/** A room with texture that is panned slowly, and somebody who moves in front of it. */
function backdrop() {
  const context = canvas(CAMERA.width + 240, CAMERA.height)
  const random = pageRandom(7)
  const { width, height } = context.canvas
  const wall = context.createLinearGradient(0, 0, width, height)
  wall.addColorStop(0, '#7d8f88')
  wall.addColorStop(1, '#45525e')
  context.fillStyle = wall
  context.fillRect(0, 0, width, height)
  for (let i = 0; i < 900; i++) {
    const light = Math.floor(random() * 90)
    context.fillStyle = `rgba(${120 + light},${100 + light},${80 + light},0.35)`
    context.fillRect(random() * width, random() * height, 6 + random() * 60, 3 + random() * 30)
  }
  return context.canvas
}

function drawCamera(context, room, number, fps) {
  const t = number / fps
  const pan = 120 + 110 * Math.sin(t / 5)
  context.drawImage(room, -pan, 0)
  const x = 480 + 130 * Math.sin(t * 0.7)
  const y = 250 + 12 * Math.sin(t * 2.3)
  context.fillStyle = '#2c3d63'
  context.fillRect(x - 130, y + 90, 260, 260)
  context.fillStyle = '#d8a988'
  context.beginPath()
  context.ellipse(x, y, 78, 104, 0.15 * Math.sin(t * 1.3), 0, 7)
  context.fill()
  context.fillStyle = '#2a1d18'
  context.beginPath()
  context.ellipse(x, y + 52, 26, 5 + 9 * Math.abs(Math.sin(t * 7)), 0, 0, 7)
  context.fill()
  for (const side of [-30, 30]) context.fillRect(x + side - 8, y - 20, 16, 8)
  context.fillStyle = '#d8a988'
  context.beginPath()
  context.ellipse(x + 190 * Math.cos(t * 1.9), y + 150 + 90 * Math.sin(t * 2.7), 30, 36, 0, 0, 7)
  context.fill()
  drawMark(context, CAMERA.mark.x, CAMERA.mark.y, CAMERA.mark.cell, number & 0xffff)
}

function camera(fps) {
  const context = canvas(CAMERA.width, CAMERA.height)
  const room = backdrop()
  const track = context.canvas.captureStream(0).getVideoTracks()[0]
  track.contentHint = 'motion'
  every(1000 / fps, (number) => {
    drawCamera(context, room, number, fps)
    taught.cameraAt[number & 0xffff] = Date.now()
    track.requestFrame()
  })
  return track
}

function slides(fps, flipMs) {
  const context = canvas(SLIDE.width, SLIDE.height)
  const track = context.canvas.captureStream(0).getVideoTracks()[0]
  track.contentHint = 'text'
  let shown = -1
  every(1000 / fps, (number) => {
    const page = Math.floor((number * 1000) / fps / flipMs)
    if (page !== shown) {
      drawSlide(context, page)
      taught.flips.push([page, Date.now()])
      shown = page
    }
    // A canvas that nobody touches gives no frame; a shared screen would be sent again.
    context.fillStyle = number % 2 ? '#fdfdf8' : '#fdfdf7'
    context.fillRect(0, 0, 1, 1)
    track.requestFrame()
  })
  return track
}

/** A voice: a buzz of changing pitch through two formants, a hiss, syllables; never silent. */
function voice() {
  const audio = new AudioContext({ sampleRate: 48_000 })
  const mouth = audio.createGain()
  const buzz = new OscillatorNode(audio, { type: 'sawtooth', frequency: 130 })
  const hiss = new AudioBufferSourceNode(audio, { buffer: noise(audio), loop: true })
  modulate(audio, buzz.frequency, 0.31, 22)
  for (const [frequency, rate, depth] of [[600, 1.7, 220], [1700, 2.3, 600]]) {
    const formant = new BiquadFilterNode(audio, { type: 'bandpass', frequency, Q: 5 })
    modulate(audio, formant.frequency, rate, depth)
    buzz.connect(formant).connect(mouth)
  }
  hiss.connect(new GainNode(audio, { gain: 0.05 })).connect(mouth)
  mouth.gain.value = 0.6
  modulate(audio, mouth.gain, 3.7, 0.25)
  const out = audio.createMediaStreamDestination()
  mouth.connect(out)
  buzz.start()
  hiss.start()
  return out.stream.getAudioTracks()[0]
}

function modulate(audio, parameter, frequency, gain) {
  const slow = new OscillatorNode(audio, { frequency })
  slow.connect(new GainNode(audio, { gain })).connect(parameter)
  slow.start()
}

function noise(audio) {
  const buffer = audio.createBuffer(1, 48_000, 48_000)
  const random = pageRandom(3)
  const samples = buffer.getChannelData(0)
  for (let i = 0; i < samples.length; i++) samples[i] = random() * 2 - 1
  return buffer
}

/** Calls on a regular beat that does not drift; beats that were missed are skipped. */
function every(ms, call) {
  const began = performance.now()
  let next = 0
  const beat = () => {
    call(next)
    next = Math.max(next + 1, Math.ceil((performance.now() - began) / ms))
    setTimeout(beat, began + next * ms - performance.now())
  }
  beat()
}

function prefer(transceiver, codec) {
  const all = RTCRtpSender.getCapabilities('video').codecs
  const repair = ['video/rtx', 'video/red', 'video/ulpfec', 'video/flexfec-03']
  const wanted = all.filter(({ mimeType, sdpFmtpLine = '' }) => {
    if (mimeType.toLowerCase() !== `video/${codec.toLowerCase()}`) return false
    if (codec === 'H264') return /packetization-mode=1.*42e0|42e0.*packetization-mode=1/i.test(sdpFmtpLine)
    return codec !== 'VP9' || /profile-id=0/.test(sdpFmtpLine)
  })
  const repairs = all.filter((c) => repair.includes(c.mimeType.toLowerCase()))
  transceiver.setCodecPreferences([...wanted, ...repairs])
}

/** Makes the media and the offer; without simulcast it is an ordinary call from peer to peer. */
async function offer(options) {
  const { codec, slidesCodec, cameraFps, slidesFps, flipMs, simulcast, channels = CHANNELS } = options
  peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
  const stream = new MediaStream()
  const add = (track, sendEncodings) =>
    peer.addTransceiver(track, { direction: 'sendonly', streams: [stream], sendEncodings })
  add(voice(), [{ maxBitrate: AUDIO_BPS }])
  const top = { maxBitrate: LAYERS.at(-1).maxBitrate }
  const views = [
    add(camera(cameraFps), simulcast ? LAYERS : [top]),
    add(slides(slidesFps, flipMs), [{ maxBitrate: SLIDES_BPS, ...MODE }]),
  ]
  prefer(views[0], codec)
  prefer(views[1], slidesCodec)
  for (const label of channels) peer.createDataChannel(label)
  await peer.setLocalDescription()
  return withSlides(peer.localDescription.sdp, views[1].mid)
}

/** Marks the section as slides (RFC 4796). */
function withSlides(sdp, mid) {
  return sdp.replace(new RegExp(`^(a=mid:${mid})\\r?$`, 'm'), '$1\r\na=content:slides')
}

/** Begin where a wired uplink is, not at Chromium's 300 kbit/s. */
function startAt(sdp, kbps) {
  return sdp
    .split(/(?=^m=)/m)
    .map((part) => {
      const payload = /^m=video \d+ \S+ (\d+)/.exec(part)?.[1]
      if (!payload) return part
      const hint = `x-google-start-bitrate=${kbps}`
      const line = new RegExp(`^(a=fmtp:${payload} [^\\r\\n]*)`, 'm')
      if (line.test(part)) return part.replace(line, `$1;${hint}`)
      return part.replace(
        new RegExp(`^(a=rtpmap:${payload} [^\\r\\n]*)`, 'm'),
        `$1\r\na=fmtp:${payload} ${hint}`,
      )
    })
    .join('')
}

async function publish(url, token, options) {
  const sdp = await offer({ ...options, simulcast: true })
  const answer = await post(url, token, sdp)
  await peer.setRemoteDescription({ type: 'answer', sdp: startAt(answer, START_KBPS) })
}

async function post(url, token, body) {
  const headers = { 'Content-Type': 'application/sdp', Authorization: `Bearer ${token}` }
  const response = await fetch(url, { method: 'POST', headers, body })
  const text = await response.text()
  if (response.status !== 201) throw new Error(`${url}: ${response.status} ${text}`)
  return text
}

/** What is sent: a row for each stream. */
async function sending() {
  const rows = []
  for (const report of (await peer.getStats()).values()) {
    if (report.type !== 'outbound-rtp') continue
    const { kind, rid, mid, bytesSent, headerBytesSent, packetsSent, retransmittedPacketsSent } = report
    const { frameWidth, framesPerSecond, qualityLimitationReason, targetBitrate, active } = report
    const { qpSum, framesEncoded, retransmittedBytesSent } = report
    rows.push({ kind, rid, mid, bytesSent, headerBytesSent, packetsSent, retransmittedPacketsSent,
      frameWidth, framesPerSecond, qualityLimitationReason, targetBitrate, active, qpSum, framesEncoded,
      retransmittedBytesSent })
  }
  return rows
}

/** The browser's name of each track, by source. */
function trackIds() {
  const [microphone, camera, slides] = peer.getSenders().map((sender) => sender.track.id)
  return { microphone, camera, slides }
}

/** Answers for a second connection, by which nothing comes: some servers insist on it. */
async function answerOther(sdp) {
  other ??= new RTCPeerConnection()
  await other.setRemoteDescription({ type: 'offer', sdp })
  await other.setLocalDescription()
  return gathered(other)
}

const { candidate } = candidates(() => peer)
const { candidate: otherCandidate } = candidates(() => other)

globalThis.linklab = {
  publish,
  offer,
  answer: (sdp) => peer.setRemoteDescription({ type: 'answer', sdp: startAt(sdp, START_KBPS) }),
  candidate,
  answerOther,
  otherCandidate,
  trackIds,
  localDescription: () => gathered(peer),
  sending,
  taught,
}
