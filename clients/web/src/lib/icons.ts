/** Line icons on a 24-unit grid, drawn here so that no page needs the network for them. */
const paths = {
  mic: 'M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5 11v1a7 7 0 0 0 14 0v-1M12 19v3',
  micOff:
    'M9 9v3a3 3 0 0 0 5 2.2M15 11V6a3 3 0 0 0-5.8-1M5 11v1a7 7 0 0 0 11.5 5.4M19 11v1a7 7 0 0 1-.5 2.5M12 19v3M3 3l18 18',
  camera:
    'M4 6h10a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2zM16 11l6-4v10l-6-4',
  cameraOff:
    'M16 16a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2M10 6h4a2 2 0 0 1 2 2v3l6-4v10M3 3l18 18',
  screen:
    'M4 4h16a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1zM8 21h8M12 17v4M12 13.5v-6M9.5 10 12 7.5l2.5 2.5',
  screenOff:
    'M4 4h16a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1zM8 21h8M12 17v4M9.5 8l5 5M14.5 8l-5 5',
  copy: 'M9 9h10a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H9a1 1 0 0 1-1-1V10a1 1 0 0 1 1-1zM5 15H4a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1h10a1 1 0 0 1 1 1v1',
  swap: 'M4 8h14M14 4l4 4-4 4M20 16H6M10 12l-4 4 4 4',
  expand:
    'M4 9V5a1 1 0 0 1 1-1h4M15 4h4a1 1 0 0 1 1 1v4M20 15v4a1 1 0 0 1-1 1h-4M9 20H5a1 1 0 0 1-1-1v-4',
  shrink:
    'M9 4v4a1 1 0 0 1-1 1H4M20 9h-4a1 1 0 0 1-1-1V4M15 20v-4a1 1 0 0 1 1-1h4M4 15h4a1 1 0 0 1 1 1v4',
  sound: 'M4 9h4l5-4v14l-5-4H4zM16.5 8.5a5 5 0 0 1 0 7M19 6a8.5 8.5 0 0 1 0 12',
  soundOff: 'M4 9h4l5-4v14l-5-4H4zM17 9.5l5 5M22 9.5l-5 5',
  link: 'M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7L12 7M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7L12 17',
  download: 'M12 4v11M7.5 11 12 15.5 16.5 11M4 20h16',
  search: 'M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14zM16 16l5 5',
  back: 'M19 12H5M11 6l-6 6 6 6',
  live: 'M12 10a2 2 0 1 1 0 4 2 2 0 0 1 0-4zM7.5 16.5a6.4 6.4 0 0 1 0-9M16.5 7.5a6.4 6.4 0 0 1 0 9M4.5 19a10 10 0 0 1 0-14M19.5 5a10 10 0 0 1 0 14',
  hand: 'M8 12V5.5a1.5 1.5 0 0 1 3 0V11M11 11V4a1.5 1.5 0 0 1 3 0v7M14 11V5.5a1.5 1.5 0 0 1 3 0V14a7 7 0 0 1-7 7c-2.5 0-3.8-1.2-5-3.2L3.2 14.5a1.5 1.5 0 0 1 2.5-1.7L8 15.5V10',
  chat: 'M5 4h14a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H10l-5 4v-4a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1zM8 8.5h8M8 12h5',
  edit: 'M4 20h4L20 8a1.6 1.6 0 0 0 0-2.3L18.3 4A1.6 1.6 0 0 0 16 4L4 16zM13.5 6.5l4 4',
  close: 'M6 6l12 12M18 6 6 18',
  play: 'M7 4.5v15l12-7.5z',
  pause: 'M8 5v14M16 5v14',
  backTen:
    'M4 5v5h5M4.6 9.5A8 8 0 1 1 4 14M10 11.5v5M13.5 13a1.5 1.5 0 0 1 3 0v2a1.5 1.5 0 0 1-3 0z',
  onTen:
    'M20 5v5h-5M19.4 9.5A8 8 0 1 0 20 14M9 11.5v5M12.5 13a1.5 1.5 0 0 1 3 0v2a1.5 1.5 0 0 1-3 0z',
  again: 'M20 5v5h-5M19.4 9.5A8 8 0 1 0 20 14',
  captions:
    'M5 5h14a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2zM11 10.5a2 2 0 1 0 0 3M17 10.5a2 2 0 1 0 0 3',
  help: 'M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM9.5 9.5a2.5 2.5 0 1 1 3.6 2.2c-.7.4-1.1.9-1.1 1.8M12 16.6v.1',
} as const

export type IconName = keyof typeof paths

const SVG = 'http://www.w3.org/2000/svg'

export function isIcon(name: string): name is IconName {
  return Object.hasOwn(paths, name)
}

export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, 'svg')
  svg.setAttribute('viewBox', '0 0 24 24')
  svg.setAttribute('class', 'icon')
  svg.setAttribute('aria-hidden', 'true')
  const path = document.createElementNS(SVG, 'path')
  path.setAttribute('d', paths[name])
  svg.append(path)
  return svg
}
