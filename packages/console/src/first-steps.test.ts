import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { createSinkLine, createSourceLine, sendRecordLine } from "./first-steps.ts";

const target = { apiUrl: "http://127.0.0.1:8088/v1/", needsToken: false };

/** Arguments that a shell makes of a line. */
function words(line: string): string[] {
  const script = `curl() { printf '%s\\0' "$@"; }\n${line}`;
  const shell = spawnSync("sh", ["-c", script], { encoding: "utf8", env: { MILLRACE_AUTH_TOKEN: "t0ken" } });
  assert.equal(shell.status, 0, shell.stderr);
  return shell.stdout.split("\0").slice(0, -1);
}

test("first steps: a shell reads the lines as they are meant", () => {
  const source = words(createSourceLine(target));
  assert.equal(source[1], "http://127.0.0.1:8088/v1/branches/default/sources");
  assert.deepEqual(JSON.parse(source.at(-1) ?? ""), { type: "http", name: "Events", sourceId: "events" });

  const sink = words(createSinkLine({ ...target, needsToken: true }, "a b"));
  assert.equal(sink[1], "http://127.0.0.1:8088/v1/branches/default/sources/a%20b/sinks");
  assert.ok(sink.includes("authorization: Bearer t0ken"));
  const body = JSON.parse(sink.at(-1) ?? "") as { table: { mapping: { columns: unknown[] } } };
  assert.equal(body.table.mapping.columns.length, 3);

  const record = words(sendRecordLine("http://127.0.0.1:7000/stream/1/events/secret"));
  assert.equal(record[1], "http://127.0.0.1:7000/stream/1/events/secret");
  assert.deepEqual(JSON.parse(record.at(-1) ?? ""), { hello: "millrace" });
});
