import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    target: 'es2023',
    modulePreload: { polyfill: false },
    // Nothing inline: the page's policy forbids it.
    assetsInlineLimit: 0,
    reportCompressedSize: true,
  },
});
