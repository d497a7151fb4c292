// What of the server is loaded when it is called. The command line needs the names and defaults of settings for every
// help text; the platform behind them costs half a second of CPU to load (DuckDB, Fastify and all the packages).
import type { DoctorReport } from "./doctor-report.ts";
import type * as doctor from "./system-doctor.ts";
import type * as demo from "./system-run-demo.ts";
import type * as platform from "./system-run-platform.ts";
import type * as stores from "./system-fragment-stores.ts";

/** Runs the platform until it is told to stop. @throws whatever kept it from starting */
export async function runPlatform(...args: Parameters<typeof platform.runPlatform>): Promise<void> {
  await (await import("./system-run-platform.ts")).runPlatform(...args);
}

/** Replays until as many records as were asked for are rows. */
export async function runDemo(...args: Parameters<typeof demo.runDemo>): Promise<demo.DemoSummary> {
  return (await import("./system-run-demo.ts")).runDemo(...args);
}

/** The offline check of a data directory. @throws {WireError} NOT_FOUND when it is none */
export async function examineDataDirectory(
  ...args: Parameters<typeof doctor.examineDataDirectory>
): Promise<DoctorReport> {
  return (await import("./system-doctor.ts")).examineDataDirectory(...args);
}

/** The stores of fragments, with the credentials of this process. @param root under which `file://` stores are */
export async function openFragmentStores(
  root: string,
): Promise<ReturnType<typeof stores.openFragmentStores>> {
  return (await import("./system-fragment-stores.ts")).openFragmentStores(root);
}
