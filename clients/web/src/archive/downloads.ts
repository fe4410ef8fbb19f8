/** The lesson as files to keep; where there is none, that is said. */
import type { Entry } from '../lib/api'
import { byId, h, say } from '../lib/dom'
import { t } from '../lib/i18n'
import { icon } from '../lib/icons'
import { pictureName } from './stage'

export function drawDownloads(entry: Entry): void {
  const links = entry.downloads.map((url) => link(entry, url))
  byId('downloads', HTMLElement).replaceChildren(...(links.length > 0 ? links : [none()]))
}

function link({ lesson }: Entry, url: string): HTMLElement {
  const name = decodeURIComponent(url.split('/').pop() ?? url)
  const source = name.split('.')[0] ?? name
  const words = `${t('replay.download')}: ${t(pictureName(source), { source })}`
  const saved = { href: url, download: `${lesson}-${name}`, 'aria-label': `${words} (${name})` }
  return h('a', { class: 'button', ...saved }, icon('download'), h('span', {}, words))
}

/** Disabled, but found by the keyboard: its words say why. */
function none(): HTMLElement {
  const words = h('span')
  say(words, 'replay.noDownload')
  const button = h('button', { type: 'button', 'aria-disabled': 'true', class: 'none' })
  button.append(icon('download'), words)
  return button
}
