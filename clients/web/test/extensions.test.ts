import { expect, test } from 'vitest'
import { askIn } from '../src/lib/extensions'

const DESCRIPTOR =
  'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension'

test('a receiver asks for the dependency descriptor and leaves the rest alone', () => {
  const offered = [
    { uri: DESCRIPTOR, direction: 'stopped' },
    { uri: 'urn:3gpp:video-orientation', direction: 'sendrecv' },
    { uri: 'urn:ietf:params:rtp-hdrext:toffset', direction: 'stopped' },
  ]
  let asked: unknown
  askIn({
    getHeaderExtensionsToNegotiate: () => offered,
    setHeaderExtensionsToNegotiate: (extensions: unknown) => {
      asked = extensions
    },
  })
  expect(asked).toEqual([
    { uri: DESCRIPTOR, direction: 'sendrecv' },
    { uri: 'urn:3gpp:video-orientation', direction: 'sendrecv' },
    { uri: 'urn:ietf:params:rtp-hdrext:toffset', direction: 'stopped' },
  ])
})

test('a browser that cannot be asked is left alone', () => {
  expect(() => askIn({})).not.toThrow()
})
