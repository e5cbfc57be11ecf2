import { defineConfig } from "vite";

// The fixture server or a real Relook answers /api while the page is worked on.
const BACKEND = "http://127.0.0.1:9090";

export default defineConfig({
  base: "/page/",
  build: {
    outDir: "../static",
    emptyOutDir: true,
    // Inlined images and scripts would need a looser Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2023",
  },
  server: { proxy: { "/api": BACKEND } },
});
