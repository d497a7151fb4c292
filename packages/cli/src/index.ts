export { makeProgram, runMillrace } from "./system-main.ts";
