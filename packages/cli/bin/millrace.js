#!/usr/bin/env node
// Committed, since npm links only a bin that exists when it installs; everything else is built.
const { runMillrace } = await import("../dist/system-main.js").catch((error) => {
  if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
  console.error(`millrace: ${error.message}: run npm ci and npm run build in its clone first`);
  process.exit(1);
});

await runMillrace(process.argv.slice(2));
