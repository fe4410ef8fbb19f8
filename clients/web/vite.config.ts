import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { defineConfig, type Plugin } from 'vite'

const pages = ['teach.html', 'join.html', 'archive.html']

/** Scripts and styles lie compressed beside themselves: the node sends that to browsers that take it. */
const compressed: Plugin = {
  name: 'compressed',
  writeBundle({ dir = '' }, bundle) {
    for (const [name, file] of Object.entries(bundle)) {
      if (!/\.(?:js|css)$/.test(name)) continue
      const data = file.type === 'chunk' ? file.code : file.source
      writeFileSync(join(dir, `${name}.gz`), gzipSync(data, { level: 9 }))
    }
  },
}

export default defineConfig({
  plugins: [compressed],
  // Pages live at /teach, /join/<lesson>, /archive/<id>: assets are named from the root.
  base: '/',
  build: {
    target: ['chrome103', 'firefox102', 'safari15.4'],
    assetsDir: 'assets',
    // hls.js and LiveKit's client alone are above Vite's default limit of 500 kB; each page loads one.
    chunkSizeWarningLimit: 700,
    rollupOptions: { input: pages },
  },
  server: {
    proxy: {
      '/api': 'http://localhost:7880',
      '/rtc': { target: 'http://localhost:7880', ws: true },
    },
  },
})
