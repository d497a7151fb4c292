// What a command loads: the platform, its client and its libraries cost half a second of CPU, and only those who need
// them shall wait for them.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const MILLRACE = fileURLToPath(new URL("../bin/millrace.js", import.meta.url));
/** Nothing ever listens on it. */
const NOBODY = "http://127.0.0.1:1";

/** Packages of which a process of the command loaded a module: V8's coverage has every script that ran. */
function loadedBy(t: TestContext, ...args: string[]): readonly string[] {
  const directory = mkdtempSync(join(tmpdir(), "millrace-loading-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const env = { ...process.env, NODE_V8_COVERAGE: directory };
  spawnSync(process.execPath, [MILLRACE, ...args], { env, stdio: ["ignore", "ignore", "ignore"] });
  const packages = readdirSync(directory).flatMap((file) => {
    const { result } = JSON.parse(readFileSync(join(directory, file), "utf8")) as {
      result: { url: string }[];
    };
    return result.map(({ url }) => packageOf(url));
  });
  return [...new Set(packages)].filter((name) => name !== undefined).sort();
}

function packageOf(url: string): string | undefined {
  const [, ours] = /\/packages\/([^/]+)\/dist\//.exec(url) ?? [];
  const [, theirs] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url) ?? [];
  return theirs ?? ours;
}

const LIGHT = ["base", "cli", "commander", "server"];

for (const [args, more] of [
  ["--help", []],
  ["up --help", []],
  ["journals list --help", []],
  ["print-config", []],
  [`sql x --address ${NOBODY}`, ["undici"]],
  [`sources list --address ${NOBODY}`, ["api-client", "undici"]],
  [`produce ${NOBODY}/stream/1/a/b --generate 10`, ["undici"]],
  [`journals list --address ${NOBODY}`, ["client", "grpc", "protobuf", "protocol", "undici"]],
] as const) {
  test(`loading: millrace ${args} -> ${["nothing heavy", ...more].join(", but ")}`, (t) => {
    assert.deepEqual(loadedBy(t, ...args.split(" ")), [...LIGHT, ...more].sort());
  });
}

test("loading: millrace doctor -> the platform's own checks, so the test above can tell", (t) => {
  const missing = join(tmpdir(), "millrace-loading-missing");
  const loaded = loadedBy(t, "doctor", "--data", missing);
  for (const name of ["wal", "stores", "warehouse"]) assert.ok(loaded.includes(name), name);
});
