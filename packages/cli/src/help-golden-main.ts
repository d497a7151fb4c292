// Writes help.golden.txt anew: node packages/cli/dist/help-golden-main.js
import { writeFileSync } from "node:fs";
import { helpOfEverything } from "./help-text.ts";

writeFileSync(new URL("../src/help.golden.txt", import.meta.url), await helpOfEverything());
