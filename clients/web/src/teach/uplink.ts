/** The hint about the teacher's own connection. */
import { byId, say, show, write } from '../lib/dom'
import { t } from '../lib/i18n'
import { quality, rates, type Sample, Steady, uplinkSample } from '../lib/stats'

export class UplinkHint {
  readonly #word = byId('quality', HTMLElement)
  readonly #detail = byId('quality-detail', HTMLElement)
  readonly #hint = byId('quality-hint', HTMLElement)
  readonly #steady = new Steady()
  #last: Sample | undefined

  update(report: ReadonlyMap<string, unknown>): void {
    const sample = uplinkSample(report.values())
    const now = this.#last && rates(this.#last, sample)
    this.#last = sample
    if (!now) return
    const word = this.#steady.next(quality(now))
    this.#word.dataset.quality = word
    say(this.#word, `quality.${word}`)
    const [kbps, rtt] = [Math.round(now.kbps), Math.round(now.rttMs)]
    write(this.#detail, t('quality.detail', { kbps, rtt, loss: Math.round(now.lossPercent) }))
    show(this.#hint, word !== 'good')
    if (word !== 'good') say(this.#hint, word === 'weak' ? 'quality.weakHint' : 'quality.badHint')
  }
}
