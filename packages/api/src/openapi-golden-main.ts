// Writes docs/openapi.json anew: node packages/api/dist/openapi-golden-main.js
import { writeFileSync } from "node:fs";
import { documentText } from "./openapi.ts";

writeFileSync(new URL("../../../docs/openapi.json", import.meta.url), documentText());
