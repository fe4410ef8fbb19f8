// What both pages need where no HTTP answer carries everything at once.

/** The description with all candidates in it. */
function gathered(peer) {
  return new Promise((resolve) => {
    const look = () => peer.iceGatheringState === 'complete' && resolve(peer.localDescription.sdp)
    peer.addEventListener('icegatheringstatechange', look)
    look()
  })
}

/** Takes the other side's candidates, also those that come before its description. */
function candidates(connection) {
  const early = []
  const flush = async () => {
    const peer = connection()
    if (!peer?.remoteDescription) setTimeout(flush, 20)
    else for (const init of early.splice(0)) await peer.addIceCandidate(init)
  }
  const candidate = (init) => {
    early.push(init)
    return flush()
  }
  return { candidate }
}
