/** The picture first: what can wait gives way to it, on the link and in the browser. */

/** So long (ms) it has its way; then all else comes too. */
const PATIENCE_MS = 3_000

/** Resolves when the element has something to show or to sound, or has had its chance. */
export function calm(element: HTMLMediaElement): Promise<void> {
  if (element.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      element.removeEventListener('loadeddata', done)
      resolve()
    }
    const timer = setTimeout(done, PATIENCE_MS)
    element.addEventListener('loadeddata', done)
  })
}
