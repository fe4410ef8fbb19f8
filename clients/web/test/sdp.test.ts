import { describe, expect, it } from 'vitest'
import { askedCodec, isRefused, markSlides, offerOrder, startAt } from '../src/lib/sdp'

const sdp = [
  'v=0',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111',
  'a=mid:0',
  'm=video 9 UDP/TLS/RTP/SAVPF 96',
  'a=mid:1',
  'a=sendonly',
  'm=video 9 UDP/TLS/RTP/SAVPF 96',
  'a=mid:2',
  'a=sendonly',
  '',
].join('\r\n')

const h264 = (profile: string, mode: number) => ({
  mimeType: 'video/H264',
  sdpFmtpLine: `level-asymmetry-allowed=1;packetization-mode=${mode};profile-level-id=${profile}`,
})
const [vp8, vp9, av1, rtx] = ['VP8', 'VP9', 'AV1', 'rtx'].map((name) => ({
  mimeType: `video/${name}`,
}))
const browser = [
  vp8,
  rtx,
  h264('42001f', 1),
  h264('42e01f', 0),
  h264('42e01f', 1),
  vp9,
  av1,
].filter((codec) => codec !== undefined)

describe('markSlides', () => {
  it('marks only the section of that mid, with CRLF', () => {
    const marked = markSlides(sdp, '2')
    expect(marked.match(/a=content:slides\r\n/g)).toHaveLength(1)
    expect(marked.indexOf('a=content:slides')).toBeGreaterThan(marked.indexOf('a=mid:2'))
    expect(marked.replace('a=content:slides\r\n', '')).toBe(sdp)
  })
  it('marks nothing twice', () => {
    expect(markSlides(markSlides(sdp, '2'), '2')).toBe(markSlides(sdp, '2'))
  })
  it('does not take mid 1 for mid 10', () => {
    expect(markSlides(sdp.replace('a=mid:2', 'a=mid:10'), '1')).toContain(
      'a=mid:1\r\na=content:slides',
    )
  })
  it('leaves an SDP without that mid alone', () => {
    expect(markSlides(sdp, '7')).toBe(sdp)
  })
})

describe('startAt', () => {
  const answer = [
    'v=0',
    'm=audio 9 UDP/TLS/RTP/SAVPF 111',
    'a=rtpmap:111 opus/48000/2',
    'm=video 9 UDP/TLS/RTP/SAVPF 108 109',
    'a=rtpmap:108 H264/90000',
    'a=fmtp:108 packetization-mode=1',
    'a=fmtp:109 apt=108',
    'm=video 9 UDP/TLS/RTP/SAVPF 96',
    'a=rtpmap:96 VP8/90000',
    '',
  ].join('\r\n')
  it('tells the sender of each video section, with or without a format line', () => {
    const lines = startAt(answer, 800).split('\r\n')
    expect(lines).toContain('a=fmtp:108 packetization-mode=1;x-google-start-bitrate=800')
    expect(lines).toContain('a=fmtp:96 x-google-start-bitrate=800')
    expect(lines).toContain('a=fmtp:109 apt=108')
    expect(lines).toHaveLength(answer.split('\r\n').length + 1)
  })
})

describe('isRefused', () => {
  it('sees a port of zero and an inactive section', () => {
    expect(isRefused(sdp, '1')).toBe(false)
    expect(isRefused(sdp.replace('m=video 9', 'm=video 0'), '1')).toBe(true)
    expect(isRefused(sdp.replace('a=sendonly', 'a=inactive'), '1')).toBe(true)
    expect(isRefused(sdp, '9')).toBe(true)
  })
  it('takes a bundled section at port 0 for what it is', () => {
    const bundled = sdp
      .replace('m=video 9', 'm=video 0')
      .replace('a=mid:1', 'a=bundle-only\r\na=mid:1')
    expect(isRefused(bundled, '1')).toBe(false)
  })
})

describe('offerOrder', () => {
  it('offers H264 constrained baseline in packetization mode 1 first', () => {
    const [first, second, third] = offerOrder(browser)
    expect(first).toEqual(h264('42e01f', 1))
    expect(second).toEqual(h264('42001f', 1))
    expect(third).toEqual(h264('42e01f', 0))
  })
  it('loses no codec and keeps the order of the others', () => {
    expect(offerOrder(browser)).toHaveLength(browser.length)
    expect(offerOrder(browser).slice(3)).toEqual([vp8, rtx, vp9, av1])
  })
  it('restricts to one codec and its repair', () => {
    expect(offerOrder(browser, 'VP8')).toEqual([vp8, rtx])
    expect(offerOrder(browser, 'H264')[0]).toEqual(h264('42e01f', 1))
  })
  it('is empty when the browser lacks the codec', () => {
    expect(offerOrder([{ mimeType: 'video/VP8' }], 'AV1')).toEqual([])
  })
})

describe('askedCodec', () => {
  it('reads the address, in any case', () => {
    expect(askedCodec('?codec=vp8')).toBe('VP8')
    expect(askedCodec('?x=1&codec=AV1')).toBe('AV1')
    expect(askedCodec('?codec=h265')).toBeUndefined()
    expect(askedCodec('')).toBeUndefined()
  })
})
