/** Tells when this device moved to another network. */

/** Network Information API: only some browsers have it, and `type` only on some systems. */
interface Connection extends EventTarget {
  readonly type?: string
}

/**
 * Dispatches `change` when the device comes back online or the kind of its network changes (Wi-Fi to
 * mobile). The API's own `change` also fires for mere estimates of speed: those are left out.
 */
export function watchNetwork(): EventTarget {
  const target = new EventTarget()
  const changed = () => target.dispatchEvent(new Event('change'))
  addEventListener('online', changed)
  const connection = (navigator as Navigator & { connection?: Connection }).connection
  let kind = connection?.type
  connection?.addEventListener('change', () => {
    if (connection.type === kind || connection.type === 'none') return
    kind = connection.type
    changed()
  })
  return target
}
