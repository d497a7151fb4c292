#!/usr/bin/env node
// Committed, since npm links only a bin that exists when it installs; everything else is built.
import { runMillrace } from "../dist/system-main.js";

await runMillrace(process.argv.slice(2));
