/** Keeps the screen from going dark during a lesson, where the browser can. Returns the release. */
export function keepAwake(): () => void {
  let lock: WakeLockSentinel | undefined
  let released = false
  const take = async () => {
    if (released || document.visibilityState !== 'visible' || !('wakeLock' in navigator)) return
    // Refused on a low battery: the lesson goes on all the same.
    lock = await navigator.wakeLock.request('screen').catch(() => undefined)
  }
  document.addEventListener('visibilitychange', take)
  void take()
  return () => {
    released = true
    document.removeEventListener('visibilitychange', take)
    void lock?.release()
  }
}
