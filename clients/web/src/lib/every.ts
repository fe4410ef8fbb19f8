/** Repeats while it matters: no overlap, and a failure only waits for the next turn. */
export function every(ms: number, task: () => Promise<void> | void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  let stopped = false
  const turn = async () => {
    try {
      await task()
    } catch {
      // What is asked again in a moment needs no error of its own.
    }
    if (!stopped) timer = setTimeout(turn, ms)
  }
  void turn()
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
