import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { beyond, type Range, reach, segmentAt, useless, wanted } from '../src/archive/closed/buffer'
import { Fetching, Unusable } from '../src/archive/closed/fetching'
import { media, renditions, type Segment } from '../src/archive/closed/playlist'

const BASE = 'https://node.cn/archive/x/media/camera.m3u8'
const MASTER = [
  '#EXTM3U',
  '#EXT-X-VERSION:7',
  '#EXT-X-INDEPENDENT-SEGMENTS',
  '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="microphone",DEFAULT=YES,CHANNELS="2",URI="audio/index.m3u8"',
  '#EXT-X-STREAM-INF:BANDWIDTH=1600000,CODECS="avc1.42C01F,opus",AVERAGE-BANDWIDTH=1,RESOLUTION=1280x720,AUDIO="audio"',
  'camera/index.m3u8',
  '#EXT-X-STREAM-INF:BANDWIDTH=43000,CODECS="opus",AUDIO="audio"',
  'audio/index.m3u8',
]
const MEDIA = [
  '#EXTM3U',
  '#EXT-X-TARGETDURATION:6',
  '#EXT-X-MEDIA-SEQUENCE:0',
  '#EXT-X-PLAYLIST-TYPE:EVENT',
  '#EXT-X-MAP:URI="init-0001.mp4"',
  '#EXT-X-PROGRAM-DATE-TIME:2026-09-21T14:13:20.000Z',
  '#EXTINF:2.000000,',
  '000001.m4s',
  '#EXT-X-MAP:URI="init-0002.mp4"',
  '#EXT-X-PROGRAM-DATE-TIME:2026-09-21T14:13:22.000Z',
  '#EXTINF:1.5,',
  '000002.m4s',
  '#EXT-X-ENDLIST',
]
const text = (lines: readonly string[]) => `${lines.join('\n')}\n`

describe('a master playlist', () => {
  it('names the pictures and their sound, as decoders are asked for', () => {
    expect(renditions(text(MASTER), BASE)).toEqual([
      {
        url: 'https://node.cn/archive/x/media/camera/index.m3u8',
        type: 'video/mp4;codecs="avc1.42C01F"',
      },
      { url: 'https://node.cn/archive/x/media/audio/index.m3u8', type: 'audio/mp4;codecs="opus"' },
    ])
  })
  it('names the sound alone, or the pictures alone', () => {
    const sound = [MASTER[0], MASTER[6], MASTER[7]] as string[]
    expect(renditions(text(sound), BASE)?.map(({ type }) => type)).toEqual([
      'audio/mp4;codecs="opus"',
    ])
    const pictures = [
      '#EXTM3U',
      '#EXT-X-STREAM-INF:CODECS="vp09.00.31.08",RESOLUTION=1x1',
      'a.m3u8',
    ]
    expect(renditions(text(pictures), BASE)?.map(({ type }) => type)).toEqual([
      'video/mp4;codecs="vp09.00.31.08"',
    ])
  })
  it.each([
    ['several qualities', [...MASTER, MASTER[4] as string, 'small/index.m3u8']],
    ['two sounds', [...MASTER, MASTER[3] as string]],
    ['sound in the pictures', MASTER.filter((line) => !line.startsWith('#EXT-X-MEDIA:'))],
    ['no codecs', ['#EXTM3U', '#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=1x1', 'a.m3u8']],
    ['another host', MASTER.map((line) => line.replace('camera/index', 'https://evil.cn/index'))],
    ['another folder', MASTER.map((line) => line.replace('camera/index', '../index'))],
    ['nothing', ['#EXTM3U']],
  ])('is left to the other player: %s', (_, lines) => {
    expect(renditions(text(lines), BASE)).toBeUndefined()
  })
})

describe('a media playlist', () => {
  const base = 'https://node.cn/archive/x/media/camera/index.m3u8'
  it('is a list of segments with their times', () => {
    const folder = 'https://node.cn/archive/x/media/camera/'
    const [first, second] = [`${folder}init-0001.mp4`, `${folder}init-0002.mp4`]
    for (const end of ['\n', '\r\n'])
      expect(media(MEDIA.join(end), base)).toEqual({
        segments: [
          { url: `${folder}000001.m4s`, init: first, start: 0, end: 2 },
          { url: `${folder}000002.m4s`, init: second, start: 2, end: 3.5 },
        ],
        duration: 3.5,
        epoch: Date.UTC(2026, 8, 21, 14, 13, 20),
      })
  })
  it('may tell of the parts it was made of', () => {
    const part = '#EXT-X-PART:DURATION=0.2,URI="000001.0.m4s",INDEPENDENT=YES'
    const lately = ['#EXTM3U', '#EXT-X-PART-INF:PART-TARGET=0.22', part, ...MEDIA.slice(1)]
    expect(media(text(lately), base)).toEqual(media(text(MEDIA), base))
  })
  it.each([
    ['one that grows', MEDIA.slice(0, -1)],
    ['a break of the clock', ['#EXTM3U', '#EXT-X-DISCONTINUITY', ...MEDIA.slice(1)]],
    ['a key', ['#EXTM3U', '#EXT-X-KEY:METHOD=AES-128,URI="k"', ...MEDIA.slice(1)]],
    ['pieces of a file', MEDIA.map((line) => line.replace('0001.mp4"', '0001.mp4",BYTERANGE="9"'))],
    ['a cut beginning', MEDIA.map((line) => line.replace('SEQUENCE:0', 'SEQUENCE:7'))],
    ['another host', MEDIA.map((line) => line.replace('000001', '//evil.cn/1'))],
    ['no length', MEDIA.map((line) => line.replace('#EXTINF:2.000000,', '#EXTINF:x,'))],
    ['no segments', MEDIA.filter((line) => !line.endsWith('m4s'))],
  ])('is left to the other player: %s', (_, lines) => {
    expect(media(text(lines), base)).toBeUndefined()
  })
})

describe('what to load', () => {
  const segments: Segment[] = [0, 2, 4, 6, 8].map((start) => ({
    url: `${start}`,
    init: '',
    start,
    end: start + 2,
  }))
  const next = (loaded: Range[], at: number, ahead: number, had: number[] = []) =>
    wanted(segments, loaded, { at, ahead, had: new Set(had) })

  it('is the segment of the place, then what follows it', () => {
    expect(next([], 5, 0.6)).toBe(2)
    expect(next([[4, 6]], 5, 0.6)).toBeUndefined()
    expect(next([[4, 6]], 5.8, 0.6)).toBe(3)
    expect(next([[4, 6]], 5, 30)).toBe(3)
    expect(next([[0, 10]], 5, 30, [4])).toBeUndefined()
  })
  it('is not what lies after a hole in front of the place', () => {
    expect(next([[6, 8]], 5.9, 0.6)).toBe(2)
  })
  it('is the rest of a segment that was broken off', () => {
    expect(next([[4, 4.8]], 4.5, 0.6)).toBe(2)
  })
  it('is nothing twice, whatever holes it left', () => {
    expect(next([[4.1, 5.9]], 4, 30, [2])).toBe(3)
    expect(next([[4, 5.9]], 4, 30, [2])).toBe(3)
    expect(next([[0, 9.9]], 9.5, 30, [4])).toBeUndefined()
  })
  it('is found by its time', () => {
    expect([-1, 0, 1.99, 2, 9, 99].map((at) => segmentAt(segments, at))).toEqual([0, 0, 0, 1, 4, 4])
  })
  it('reaches over small holes, but not to where nothing plays', () => {
    expect(
      reach(
        [
          [0, 2],
          [2.2, 4],
          [5, 6],
        ] as Range[],
        1,
      ),
    ).toBe(4)
    expect(reach([[1.5, 2]], 1.4)).toBe(1.4)
  })
})

describe('what to let go', () => {
  it('is what is far behind, and what is far ahead', () => {
    const keep = { at: 200, behind: 90, ahead: 60 }
    expect(
      useless(
        [
          [0, 50],
          [190, 210],
        ] as Range[],
        keep,
      ),
    ).toEqual([0, 50])
    expect(useless([[0, 210]], keep)).toEqual([0, 110])
    expect(
      useless(
        [
          [190, 210],
          [400, 460],
        ] as Range[],
        keep,
      ),
    ).toEqual([400, 460])
    expect(useless([[109, 261]], keep)).toBeUndefined()
  })
})

describe('a hole', () => {
  it('is left when it is small and one stands before it', () => {
    expect(
      beyond(
        [
          [0, 2],
          [2.5, 4],
        ] as Range[],
        2,
      ),
    ).toBeCloseTo(2.51)
    expect(beyond([[0.1, 2]], 0)).toBeCloseTo(0.11)
    expect(
      beyond(
        [
          [0, 2],
          [2.5, 4],
        ] as Range[],
        1,
      ),
    ).toBeUndefined()
    expect(
      beyond(
        [
          [0, 2],
          [9, 10],
        ] as Range[],
        2,
      ),
    ).toBeUndefined()
  })
})

describe('fetching', () => {
  const heard = { onTrouble: vi.fn(), onMended: vi.fn(), renew: vi.fn(async () => {}) }
  const answers: (() => Response)[] = []
  const ok = () => new Response('yes')
  const status = (code: number) => () => new Response('', { status: code })
  const words = (response: Response) => response.text()

  beforeEach(() => {
    vi.useFakeTimers()
    vi.stubGlobal(
      'fetch',
      vi.fn(async (_: string, { signal }: RequestInit) => {
        signal?.throwIfAborted()
        return (answers.shift() ?? ok)()
      }),
    )
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
    vi.clearAllMocks()
    answers.length = 0
  })

  it('tries again, tells of it when it takes long, and when it works again', async () => {
    answers.push(...Array.from({ length: 8 }, () => status(404)))
    const signal = new AbortController().signal
    const got = new Fetching(heard).get('/a', signal, words)
    await vi.advanceTimersByTimeAsync(8_000)
    expect(heard.onTrouble).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(8_000)
    expect(heard.onTrouble.mock.calls).toEqual([['gone']])
    expect(heard.onMended).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(await got).toBe('yes')
    expect(heard.onMended).toHaveBeenCalledOnce()
    expect(heard.onTrouble).toHaveBeenCalledOnce()
  })
  it('asks for a new permission when it needs one', async () => {
    answers.push(status(401))
    const got = new Fetching(heard).get('/a', new AbortController().signal, words)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(await got).toBe('yes')
    expect(heard.renew).toHaveBeenCalledOnce()
  })
  it('does not ask again for what is of no use', async () => {
    const refuse = async () => {
      throw new Unusable('format')
    }
    const get = new Fetching(heard).get('/a', new AbortController().signal, refuse)
    await expect(get).rejects.toThrow('format')
    expect(fetch).toHaveBeenCalledOnce()
  })
  it('ends when it is told to, at once', async () => {
    answers.push(status(503))
    const run = new AbortController()
    const get = new Fetching(heard).get('/a', run.signal, words)
    const ended = expect(get).rejects.toThrow()
    await vi.advanceTimersByTimeAsync(100)
    run.abort()
    await ended
    expect(fetch).toHaveBeenCalledOnce()
  })
  it('gives up an answer that stays away, and asks anew', async () => {
    let turn = 0
    vi.stubGlobal(
      'fetch',
      vi.fn(
        (_: string, { signal }: RequestInit) =>
          new Promise((resolve, reject) => {
            if (turn++ > 0) resolve(ok())
            signal?.addEventListener('abort', () => reject(new DOMException('', 'AbortError')))
          }),
      ),
    )
    const got = new Fetching(heard).get('/a', new AbortController().signal, words)
    await vi.advanceTimersByTimeAsync(21_000)
    expect(await got).toBe('yes')
    expect(turn).toBe(2)
  })
})
