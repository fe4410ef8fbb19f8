import { defineConfig } from 'vite'

const pages = ['teach.html', 'join.html', 'archive.html']

export default defineConfig({
  // Pages live at /teach, /join/<lesson>, /archive/<id>: assets are named from the root.
  base: '/',
  build: {
    target: ['chrome103', 'firefox102', 'safari15.4'],
    assetsDir: 'assets',
    // hls.js alone is above Vite's default limit of 500 kB; it is loaded only by the player.
    chunkSizeWarningLimit: 700,
    rollupOptions: { input: pages },
  },
  server: { proxy: { '/api': 'http://localhost:7880' } },
})
