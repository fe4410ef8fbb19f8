import { defineConfig } from 'vite'

const pages = ['teach.html', 'join.html', 'archive.html']

export default defineConfig({
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
