/**
 * The dependency descriptor tells which frames build on which (AV1 RTP specification, appendix A).
 * A browser that only receives does not offer it, and without it does not decode the layers of AV1
 * above the smallest.
 */
const DEPENDENCY_DESCRIPTOR =
  'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension'

/** WebRTC extensions, section 5.3.2; TypeScript's library does not know them yet. */
interface Extension {
  uri: string
  direction: RTCRtpTransceiverDirection
}

interface Negotiating {
  getHeaderExtensionsToNegotiate(): Extension[]
  setHeaderExtensionsToNegotiate(extensions: Extension[]): void
}

function negotiates(section: object): section is Negotiating {
  return 'getHeaderExtensionsToNegotiate' in section && 'setHeaderExtensionsToNegotiate' in section
}

/** Asks for the dependency descriptor in a section, where the browser lets itself be asked. */
export function askIn(section: object): void {
  if (!negotiates(section)) return
  const extensions = section.getHeaderExtensionsToNegotiate()
  for (const extension of extensions)
    if (extension.uri === DEPENDENCY_DESCRIPTOR) extension.direction = 'sendrecv'
  section.setHeaderExtensionsToNegotiate(extensions)
}

/** Asks for it in every section that is added to receive pictures, whoever adds it. Call once. */
export function askForDependencies(): void {
  const add = RTCPeerConnection.prototype.addTransceiver
  RTCPeerConnection.prototype.addTransceiver = function (trackOrKind, init) {
    const section = add.call(this, trackOrKind, init)
    if (trackOrKind === 'video') askIn(section)
    return section
  }
}
