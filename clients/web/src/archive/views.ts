/** Which pictures a lesson has, and which of them a view shows. Pure. */
import type { Entry, View } from '../lib/api'

export type Choice = 'camera' | 'slides' | 'both'

/** What can be watched now: by HLS, or as a finished WebM. */
export function playable(entry: Entry): View[] {
  if (entry.views.length === 0 && entry.audio) return [voiceOnly(entry.audio)]
  return entry.views.filter((view) => view.hls !== null || view.webm !== null)
}

export function choices(views: readonly View[]): Choice[] {
  const sources = views.map((view) => view.source)
  const [camera, slides] = [sources.includes('camera'), sources.includes('slides')]
  if (camera && slides) return ['camera', 'slides', 'both']
  return camera ? ['camera'] : slides ? ['slides'] : []
}

/** The main picture (with sound) and the second one. Slides lead side by side: they are read. */
export function screens(views: readonly View[], choice: Choice): { main?: View; second?: View } {
  const one = (source: 'camera' | 'slides') => views.find((view) => view.source === source)
  const [camera, slides] = [one('camera'), one('slides')]
  const main = choice === 'camera' ? (camera ?? slides) : (slides ?? camera)
  if (!main) return views[0] ? { main: views[0] } : {}
  return choice === 'both' && camera && slides ? { main, second: camera } : { main }
}

/** A lesson taught without pictures still has its voice. */
function voiceOnly({ codec, hls }: { codec: string; hls: string }): View {
  return { source: 'microphone', kind: 'video', codec, width: 0, height: 0, hls, webm: null }
}
