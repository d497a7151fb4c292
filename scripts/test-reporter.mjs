// A reporter for `node --test`: prints failures, skips and one line per file, and appends one JSON line per
// test to the file named by MILLRACE_TEST_RECORDS, which scripts/test.mjs counts. Records are written as they
// come, so a phase that is killed for its time still has the counts up to there.
//
// Two things node:test itself counts as passed are failures here: a file without any test, and a test
// marked "todo" is a skip that must say why.

import { appendFileSync } from "node:fs";
import { relative, resolve } from "node:path";
import { inspect } from "node:util";

const OUTPUT_CHARS_MAX = 64 * 1024;

/**
 * @typedef {"passed" | "failed" | "skipped"} Verdict
 * @typedef {{ verdict: Verdict, name: string, file: string, reason?: string }} TestRecord
 */

/**
 * What one event of node:test counts as; undefined when it counts as nothing (suites, and parents that
 * failed only because a child did).
 * @param {{ type: string, data: any }} event
 * @returns {TestRecord | undefined}
 */
export function recordOf(event, cwd = process.cwd()) {
  if (event.type !== "test:pass" && event.type !== "test:fail") return undefined;
  const { name, nesting, file = "", skip, todo, details } = event.data;
  if (details?.type === "suite") {
    // A suite has no body of its own to fail, but its hooks do.
    if (event.type === "test:pass" || details.error?.failureType === "subtestsFailed") return undefined;
  }
  const where = relative(cwd, file);
  const isFile = nesting === 0 && resolve(cwd, name) === file;
  if (event.type === "test:pass") {
    if (isFile) return { verdict: "failed", name: "(the file)", file: where, reason: "has no tests" };
    if (skip !== undefined && skip !== false) {
      return { verdict: "skipped", name, file: where, reason: reasonOf(skip) };
    }
    if (todo !== undefined && todo !== false) {
      return { verdict: "skipped", name, file: where, reason: `todo: ${reasonOf(todo)}` };
    }
    return { verdict: "passed", name, file: where };
  }
  if (details?.error?.failureType === "subtestsFailed") return undefined;
  return {
    verdict: "failed",
    name: isFile ? "(the file)" : name,
    file: where,
    reason: describeError(details?.error),
  };
}

/** @param {unknown} given */
function reasonOf(given) {
  return typeof given === "string" && given !== "" ? given : "no reason given";
}

/** @param {any} error */
function describeError(error) {
  if (error === undefined) return "no error given";
  const cause = error.cause ?? error;
  if (typeof cause === "string") return cause;
  return inspect(cause, { depth: 4, colors: false });
}

/** @param {string} text */
function indent(text) {
  return text.replaceAll(/^/gm, "    ");
}

/** @param {AsyncIterable<{ type: string, data: any }>} events */
export default async function* report(events) {
  const recordsFile = process.env["MILLRACE_TEST_RECORDS"];
  /** @type {Map<string, { passed: number, failed: number, skipped: number }>} */
  const files = new Map();
  /** @type {Map<string, string>} */
  const outputs = new Map();
  for await (const event of events) {
    if (event.type === "test:stdout" || event.type === "test:stderr") {
      const file = relative(process.cwd(), resolve(event.data.file ?? ""));
      outputs.set(file, ((outputs.get(file) ?? "") + event.data.message).slice(-OUTPUT_CHARS_MAX));
      continue;
    }
    const record = recordOf(event);
    if (record === undefined) continue;
    if (recordsFile !== undefined) appendFileSync(recordsFile, `${JSON.stringify(record)}\n`);
    const counts = files.get(record.file) ?? { passed: 0, failed: 0, skipped: 0 };
    counts[record.verdict] += 1;
    files.set(record.file, counts);
    if (record.verdict === "failed") {
      yield `not ok  ${record.file}: ${record.name}\n${indent(record.reason ?? "")}\n`;
    }
  }
  for (const [file, { passed, failed, skipped }] of files) {
    const more = `${failed > 0 ? `, ${failed} FAILED` : ""}${skipped > 0 ? `, ${skipped} skipped` : ""}`;
    yield `${failed > 0 ? "not ok" : "ok    "}  ${file}: ${passed} passed${more}\n`;
    const output = outputs.get(file);
    if (failed > 0 && output !== undefined) yield `  output of ${file}:\n${indent(output)}\n`;
  }
}
