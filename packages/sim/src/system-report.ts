// What a person needs who looks into a failed run: a seed means something only together with its commit and its Node.
import { execFileSync } from "node:child_process";
import { inspect } from "node:util";
import type { Controls } from "./options.ts";
import type { SimulationFailure } from "./run-seed.ts";

const CONTROL_FLAGS: readonly (readonly [keyof Controls, string])[] = [
  ["withoutSync", "--without-sync"],
  ["withoutLoadedEnd", "--without-loaded-end"],
  ["withoutSequences", "--without-sequences"],
];

/** Lines for stderr. */
export function failureReport(failure: SimulationFailure): string {
  const { seed, newest, swarm, controls, cause } = failure;
  const flags = CONTROL_FLAGS.filter(([control]) => controls[control]).map(([, flag]) => ` ${flag}`);
  return [
    ...newest,
    failure.message,
    ...causes(cause),
    `swarm ${JSON.stringify(swarm)}`,
    `commit ${commit()}, Node ${process.version}`,
    `replay with: npm run sim -- --seed ${seed}${flags.join("")}`,
    "",
  ].join("\n");
}

export function causes(cause: unknown): string[] {
  if (!(cause instanceof Error)) return cause === undefined ? [] : [inspect(cause)];
  return [cause.stack ?? cause.message, ...causes(cause.cause)];
}

export function commit(): string {
  try {
    const cwd = import.meta.dirname;
    return execFileSync("git", ["rev-parse", "HEAD"], { cwd, encoding: "utf8", stdio: "pipe" }).trim();
  } catch {
    return "unknown";
  }
}
