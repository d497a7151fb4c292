// `npm start [-- ARGS]`: from a fresh clone to a running platform: `millrace up ARGS`, in this very process.
// package.json says `exec node`: the shell that npm starts would otherwise stay between npm and us, die first of
// a SIGTERM to the group, and npm would report 143 for a platform that stopped in good order.

import { become } from "./run.mjs";

await become("packages/cli/bin/millrace.js", ["up", ...process.argv.slice(2)]);
