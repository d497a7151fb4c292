// Builds the console into dist/site, beside what the compiler puts into dist for the tests. The server serves
// that folder. Paths are relative and nothing comes from outside: the page must work without a network.

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

export default defineConfig({
  root: "src",
  base: "./",
  plugins: [svelte()],
  build: {
    outDir: "../dist/site",
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
});
