// `npm start [-- ARGS]`: from a fresh clone to a running platform: `millrace up ARGS`, in this very process.

import { become } from "./run.mjs";

await become("packages/cli/bin/millrace.js", ["up", ...process.argv.slice(2)]);
