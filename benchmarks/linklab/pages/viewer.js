// A school for the lab: an ordinary viewer, and notes of what it sees and hears.
// `linklab.join` begins; `linklab.notes` hands over what was noted since the last time.

const POLL_MS = 60 // statistics are remembered for 50
const SLOW_MS = 1000

let peer
let sources
const workers = {}
let notes = fresh()

function fresh() {
  return { sound: [], tracks: [], said: [], states: [] }
}

function begin() {
  peer = new RTCPeerConnection({ bundlePolicy: 'max-bundle' })
  sources = new Map()
  peer.addEventListener('connectionstatechange', () =>
    notes.states.push([Date.now(), peer.connectionState]),
  )
  setInterval(pollSound, POLL_MS)
  setInterval(pollTracks, SLOW_MS)
}

/** Asks for sound, camera and slides, as the web client does. */
function listen() {
  begin()
  for (const [kind, source] of [['audio', 'microphone'], ['video', 'camera'], ['video', 'slides']])
    watch(source, peer.addTransceiver(kind, { direction: 'recvonly' }))
  for (const label of ['tongbu', 'switches']) hear(peer.createDataChannel(label))
}

function watch(source, transceiver) {
  sources.set(transceiver, source)
  const { track } = transceiver.receiver
  if (source === 'microphone') return play(track)
  const { readable } = new MediaStreamTrackProcessor({ track, maxBufferSize: 10 })
  workers[source].postMessage({ source, readable }, [readable])
}

/** Concealment is counted of sound that is played only. */
function play(track) {
  const audio = document.createElement('audio')
  audio.srcObject = new MediaStream([track])
  audio.autoplay = true
  document.body.append(audio)
}

function hear(channel) {
  channel.addEventListener('message', ({ data }) => {
    notes.said.push([Date.now(), channel.label, typeof data === 'string' ? data : null])
  })
}

async function pollSound() {
  for (const report of (await peer.getStats()).values())
    if (report.type === 'inbound-rtp' && report.kind === 'audio')
      notes.sound.push([
        Date.now(),
        report.totalSamplesReceived ?? 0,
        report.concealedSamples ?? 0,
        report.silentConcealedSamples ?? 0,
        report.concealmentEvents ?? 0,
      ])
}

const KEPT = ['bytesReceived', 'headerBytesReceived', 'retransmittedBytesReceived', 'packetsReceived',
  'retransmittedPacketsReceived', 'packetsLost', 'packetsDiscarded', 'fecBytesReceived',
  'fecPacketsReceived', 'framesDecoded', 'framesDropped', 'keyFramesDecoded', 'frameWidth',
  'freezeCount', 'totalFreezesDuration', 'nackCount', 'pliCount', 'jitterBufferDelay',
  'jitterBufferEmittedCount', 'concealedSamples', 'totalSamplesReceived']

async function pollTracks() {
  const all = await peer.getStats()
  const mids = new Map([...sources].map(([transceiver, source]) => [transceiver.mid, source]))
  for (const report of all.values()) {
    if (report.type !== 'inbound-rtp') continue
    const row = { at: Date.now(), source: mids.get(report.mid) ?? report.mid }
    row.codec = all.get(report.codecId)?.mimeType
    for (const key of KEPT) if (report[key] !== undefined) row[key] = report[key]
    notes.tracks.push(row)
  }
  for (const { type, nominated, currentRoundTripTime, state } of all.values())
    if (type === 'candidate-pair' && nominated && state === 'succeeded')
      notes.tracks.push({ at: Date.now(), source: 'path', rtt: currentRoundTripTime })
}

/** A browser's offer is 12 kB, of which a tenth is news: on a narrow uplink that is half a second. */
async function compressed(text) {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'))
  return new Response(stream).blob()
}

/** Joins by WHEP; when the question left. */
async function join(url, token) {
  listen()
  await peer.setLocalDescription()
  const headers = {
    'Content-Type': 'application/sdp',
    'Content-Encoding': 'gzip',
    Authorization: `Bearer ${token}`,
  }
  const began = Date.now()
  const body = await compressed(peer.localDescription.sdp)
  const response = await fetch(url, { method: 'POST', headers, body })
  const text = await response.text()
  if (response.status !== 201) throw new Error(`${url}: ${response.status} ${text}`)
  await peer.setRemoteDescription({ type: 'answer', sdp: text })
  return began
}

/**
 * Answers an offer, perhaps another one on the same connection. `names` tells the source of each
 * track by its id; without, they are in the order of ours.
 */
async function answer(sdp, names) {
  if (!peer) begin()
  await peer.setRemoteDescription({ type: 'offer', sdp })
  peer.getTransceivers().forEach((transceiver, i) => {
    const { track } = transceiver.receiver
    const source = names ? names[track.id] : ['microphone', 'camera', 'slides'][i]
    if (source && !sources.has(transceiver)) watch(source, transceiver)
  })
  await peer.setLocalDescription()
  return gathered(peer)
}

function told(text) {
  notes.said.push([Date.now(), 'tongbu', text])
}

function start(source) {
  for (const name of ['camera', 'slides'])
    workers[name] = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })))
}

async function taken(worker) {
  const answered = new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data)
  })
  worker.postMessage({})
  return answered
}

async function handOver() {
  const noted = notes
  notes = fresh()
  const [camera, slides] = await Promise.all([taken(workers.camera), taken(workers.slides)])
  return { ...noted, camera, slides }
}

const { candidate } = candidates(() => peer)

globalThis.linklab = { start, join, answer, candidate, told, notes: handOver }
