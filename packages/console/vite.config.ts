// Builds the console into dist/site, beside what the compiler puts into dist for the tests. The server serves
// that folder. Paths are relative and nothing comes from outside: the page must work without a network.

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type Plugin } from "vite";

/** The first thing painted has the chosen theme: nothing is shown before the script has run. */
const blockingScript: Plugin = {
  name: "millrace-blocking-script",
  transformIndexHtml: {
    order: "post",
    handler: (html) => html.replace('<script type="module"', '<script type="module" blocking="render"'),
  },
};

export default defineConfig({
  root: "src",
  base: "./",
  plugins: [svelte({ configFile: false }), blockingScript],
  build: {
    outDir: "../dist/site",
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
});
