/** The microphone's level, for the eye. */

/** Loudness of samples in -1..1 as 0..100: -60 dBFS is silence, -6 dBFS is full. Pure. */
export function loudness(samples: Float32Array): number {
  let power = 0
  for (const sample of samples) power += sample * sample
  const decibel = 10 * Math.log10(power / Math.max(1, samples.length) + 1e-12)
  return Math.round(Math.min(100, Math.max(0, ((decibel + 60) * 100) / 54)))
}

export class Meter {
  readonly #bar: HTMLMeterElement
  #context: AudioContext | undefined
  #frame = 0

  constructor(bar: HTMLMeterElement) {
    this.#bar = bar
  }

  /** Measures this track from now on; null shows silence. */
  watch(track: MediaStreamTrack | null): void {
    cancelAnimationFrame(this.#frame)
    void this.#context?.close()
    this.#context = undefined
    this.#draw(0)
    if (track) this.#listen(track)
  }

  #listen(track: MediaStreamTrack): void {
    const context = new AudioContext()
    this.#context = context
    const analyser = context.createAnalyser()
    analyser.fftSize = 1024
    context.createMediaStreamSource(new MediaStream([track])).connect(analyser)
    // Without a gesture some browsers start it suspended; the first touch wakes it.
    addEventListener('pointerdown', () => void context.resume().catch(() => {}), { once: true })
    const samples = new Float32Array(analyser.fftSize)
    const turn = () => {
      analyser.getFloatTimeDomainData(samples)
      this.#draw(track.enabled ? loudness(samples) : 0)
      this.#frame = requestAnimationFrame(turn)
    }
    turn()
  }

  #draw(level: number): void {
    this.#bar.value = level
  }
}
