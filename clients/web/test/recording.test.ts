import { describe, expect, it } from 'vitest'
import type { Disk } from '../src/lib/api'
import { t } from '../src/lib/i18n'
import { tell } from '../src/teach/recording'

const disk = (keeps: Disk['keeps'], hours_left: number | null): Disk => ({ keeps, hours_left })

describe('the recording', () => {
  it.each([
    ['ok', undefined, 'recording.ok', 'good'],
    ['off', undefined, 'recording.off', 'good'],
    ['ok', disk('everything', 2.8), 'recording.hoursLeft', 'weak'],
    ['ok', disk('everything', 0.5), 'recording.minutesLeft', 'weak'],
    ['ok', disk('everything', null), 'recording.ok', 'good'],
    [
      'failing: disk nearly full (0.9 GB free): video',
      disk('sound', 0),
      'recording.soundOnly',
      'bad',
    ],
    ['failing: disk nearly full', disk('events', 0), 'recording.noRoom', 'bad'],
    ['failing: disk full', disk('everything', 0.1), 'recording.diskFull', 'bad'],
    ['failing: the recorder is starting again', undefined, 'recording.startsAgain', 'bad'],
    ['failing: read-only file system', undefined, 'recording.failing', 'bad'],
  ] as const)('that is %s with %o says %s', (recording, disk, key, level) => {
    expect(tell({ recording, ...(disk && { disk }) })).toMatchObject({ key, level })
  })

  it('says for how long there is room', () => {
    const words = (hours: number) => {
      const { key, params } = tell({ recording: 'ok', disk: disk('everything', hours) })
      return t(key, params)
    }
    expect(words(2.8)).toContain('for 2.8 h only')
    expect(words(0.5)).toContain('for 30 min only')
  })

  it('names a reason that it has no words for', () => {
    expect(tell({ recording: 'failing: permission denied' }).params).toEqual({
      reason: 'permission denied',
    })
  })
})
