import assert from "node:assert/strict";
import test from "node:test";

import { tidy } from "./tidy.ts";

const MANIFEST = { base: {}, protocol: { "@millrace/base": "0.1.0" }, wal: { "@millrace/base": "0.1.0" } };

/** A repository without findings, with `changes` on top. */
function repoWith(changes: Record<string, string>): Map<string, string> {
  const texts = new Map<string, string>([
    ["package.json", JSON.stringify({ devDependencies: { "fast-check": "4.10.2" } })],
    ["docs/dependencies.md", "`fast-check` and `undici` and `@scope/name`"],
  ]);
  for (const [name, dependencies] of Object.entries(MANIFEST)) {
    const references = Object.keys(dependencies).map((one) => ({ path: one.replace("@millrace/", "../") }));
    const exports = { ".": { default: "./dist/index.js" } };
    texts.set(`packages/${name}/package.json`, manifest(name, { dependencies, exports }));
    texts.set(`packages/${name}/tsconfig.json`, JSON.stringify({ references }));
    texts.set(`packages/${name}/src/index.ts`, "export {};\n");
  }
  for (const [path, text] of Object.entries(changes)) texts.set(path, text);
  return texts;
}

function manifest(name: string, rest: object): string {
  return JSON.stringify({ name: `@millrace/${name}`, ...rest }, null, 2);
}

/** The findings as `file:line rule`, and their messages. */
function findings(changes: Record<string, string>): string[] {
  return tidy(repoWith(changes)).map(
    ({ file, line, rule, message }) => `${file}:${line} ${rule}: ${message}`,
  );
}

function assertFinds(changes: Record<string, string>, expected: RegExp): void {
  const found = findings(changes);
  assert.equal(found.length, 1, `one finding: ${found.join("\n")}`);
  assert.match(found[0] ?? "", expected);
}

test("tidy: a repository in order -> no findings", () => {
  assert.deepEqual(findings({}), []);
});

for (const [code, expected] of [
  ["const a = 1;\nexport const b = Date.now();", /index\.ts:2 no-wall-clock: Date\.now: take a Clock/],
  ["export const a = new Date();", /no-wall-clock: new Date\(\)/],
  ["export const a = new Date;", /no-wall-clock/],
  ["export const a = Math.random();", /no-random: Math\.random/],
  ["export const a = crypto.randomUUID();", /no-random: crypto\.randomUUID/],
  ["export const a = globalThis.performance.now();", /no-monotonic-clock/],
  ["setTimeout(() => 0, 1);", /no-timers: setTimeout: take a Clock and call sleep/],
  ["globalThis.setInterval(() => 0, 1);", /no-timers/],
  [
    'import { setTimeout as later } from "node:timers/promises";\nlater(1);',
    /:1 no-timers: node:timers\/promises/,
  ],
  ["export const a = process.env;", /no-environment/],
  ["console.log(1);", /no-console: console\.log/],
  ["export const a = 1 as any;", /no-any/],
  ['logger.warn("store_gone");', /:1 event-name: "store_gone": name the event in kebab-case/],
  ["this.#logger.error(`${a}-failed`);", /event-name/],
  ['ports.logger[isWarn ? "warn" : "error"](\n  "Store gone", {});', /event-name/],
  ["export type A = Map<string, any>;", /no-any/],
  ["export const a = 1; // " + "FIX" + "ME", /no-leftovers/],
  ["// @ts-" + "ignore\nexport {};", /no-ts-comment/],
  [`export const a = "${"x".repeat(120)}";`, /line-length: 140 characters \(at most 120\)/],
  ["export {};\n".repeat(501), /:501 file-length: 501 lines \(at most 500\)/],
] as const) {
  test(`tidy: in shipped code: ${code.slice(0, 40)} -> ${expected.source}`, () => {
    assertFinds({ "packages/wal/src/index.ts": code }, expected);
  });
}

test("tidy: dates made of an argument, methods of others, strings and comments -> allowed", () => {
  const code = [
    "export const a = new Date(0);",
    "socket.setTimeout(5);",
    'export const b = "Date.now()"; // Math.random()',
    "export const any = { any: 1 };",
    'logger.info("store-opened", { path });',
    "export class Company {}",
  ].join("\n");
  assert.deepEqual(findings({ "packages/wal/src/index.ts": code }), []);
});

test("tidy: bans in system files, tests, what only tests use, scripts and console -> allowed", () => {
  const code = "export const a = Date.now();\nsetTimeout(() => a, 1);\n";
  const allowed = {
    "packages/wal/src/index.ts": 'import "./system-ports.ts";\n',
    "packages/wal/src/system-ports.ts": code,
    "packages/wal/src/log.test.ts": `import "./fixture.ts";\n${code}`,
    "packages/wal/src/fixture.ts": code,
    "bench/main.ts": code,
  };
  assert.deepEqual(findings(allowed), []);
});

test("tidy: node modules in a package for browsers -> only in system files and tests", () => {
  const read = 'import { readFileSync } from "node:fs";\nexport const a = readFileSync;\n';
  assertFinds({ "packages/base/src/index.ts": read }, /base\/src\/index\.ts:1 browser-safe: node:fs/);
  assertFinds({ "packages/base/src/index.ts": "export const a = Buffer.alloc(1);" }, /browser-safe: Buffer/);
  const allowed = {
    "packages/base/src/index.ts": 'export { a } from "./system-files.ts";\n',
    "packages/base/src/system-files.ts": read,
    "packages/base/src/a.test.ts": read,
  };
  assert.deepEqual(findings(allowed), []);
  assert.deepEqual(findings({ "packages/wal/src/index.ts": read }), []);
});

test("tidy: an import against the table -> refused, with what is allowed", () => {
  const code = 'import { a } from "@millrace/protocol";\nexport const b = a;\n';
  assertFinds(
    { "packages/wal/src/index.ts": code },
    /wal\/src\/index\.ts:1 import-table: wal may not import @millrace\/protocol; it may import base/,
  );
});

test("tidy: a dependency against the table -> refused in package.json", () => {
  const dependencies = { "@millrace/wal": "0.1.0" };
  const changes = {
    "packages/base/package.json": manifest("base", { dependencies, exports: { ".": {} } }),
    "packages/base/tsconfig.json": '{"references":[{"path":"../wal"}]}',
  };
  assertFinds(changes, /base\/package\.json:4 import-table: base may not depend on @millrace\/wal/);
});

test("tidy: a package that the table does not know -> refused", () => {
  const changes = {
    "packages/extra/package.json": manifest("extra", { exports: {} }),
    "packages/extra/tsconfig.json": "{}",
  };
  assertFinds(changes, /extra\/package\.json:2 import-table: package extra is not in the table/);
});

test("tidy: references and dependencies differ -> both directions found", () => {
  assertFinds(
    { "packages/wal/tsconfig.json": "{}" },
    /wal\/tsconfig\.json:1 references: add the reference \.\.\/base/,
  );
  const surplus = '{"references":[{"path":"../base"},{"path":"../wal"}]}';
  assertFinds({ "packages/protocol/tsconfig.json": surplus }, /reference \.\.\/wal without a dependency/);
});

test("tidy: a types-only import -> `import type` passes, a value does not", () => {
  const consoleFiles = {
    "packages/console/package.json": manifest("console", {
      dependencies: { "@millrace/api-client": "0.1.0" },
    }),
    "packages/console/tsconfig.json": '{"references":[{"path":"../api-client"}]}',
  };
  const path = "packages/console/src/index.ts";
  assert.deepEqual(
    findings({
      ...consoleFiles,
      [path]: 'import type { A } from "@millrace/api-client";\nexport type B = A;\n',
    }),
    [],
  );
  assertFinds(
    { ...consoleFiles, [path]: 'export { a } from "@millrace/api-client";\n' },
    /import-table: console may import only types of @millrace\/api-client: say "import type"/,
  );
});

test("tidy: imports behind a package's doors -> refused", () => {
  const path = "packages/protocol/src/index.ts";
  assertFinds(
    { [path]: 'import "@millrace/base/src/index.js";\n' },
    /deep-import: @millrace\/base\/src\/index\.js/,
  );
  assertFinds({ [path]: 'import "../../base/src/index.ts";\n' }, /deep-import: .* leaves the package/);
});

test("tidy: a testkit in shipped code -> refused; in tests and testkits -> allowed", () => {
  const door = { ".": {}, "./testkit": {} };
  const base = {
    "packages/base/package.json": manifest("base", { exports: door }),
    "packages/base/src/testkit.ts": "export {};\n",
  };
  const line = 'import "@millrace/base/testkit";\n';
  assertFinds(
    { ...base, "packages/wal/src/index.ts": line },
    /testkit-import: @millrace\/base\/testkit: only tests/,
  );
  assertFinds({ ...base, "packages/base/src/index.ts": 'import "./testkit.ts";\n' }, /testkit-import/);
  assert.deepEqual(findings({ ...base, "packages/wal/src/a.test.ts": line }), []);
  const walDoors = manifest("wal", { dependencies: MANIFEST.wal, exports: door });
  assert.deepEqual(
    findings({ ...base, "packages/wal/package.json": walDoors, "packages/wal/src/testkit.ts": line }),
    [],
  );
});

test("tidy: a door without a file, a testkit without a door -> refused", () => {
  const exports = { ".": {}, "./testkit": {} };
  assertFinds(
    { "packages/base/package.json": manifest("base", { exports }) },
    /two-doors: door \.\/testkit leads nowhere/,
  );
  assertFinds({ "packages/base/src/testkit.ts": "export {};\n" }, /two-doors: src\/testkit\.ts exists/);
});

test("tidy: unlisted dependency -> refused; the root's for tests only", () => {
  assertFinds({ "packages/wal/src/index.ts": 'import "undici";\n' }, /unlisted: undici is not a dependency/);
  assertFinds({ "packages/wal/src/index.ts": 'import "fast-check";\n' }, /unlisted: fast-check/);
  assertFinds(
    { "packages/wal/src/index.ts": 'import "@scope/name/deep";\n' },
    /unlisted: @scope\/name is not/,
  );
  assert.deepEqual(findings({ "packages/wal/src/a.test.ts": 'import "fast-check";\n' }), []);
  const testkit = {
    "packages/wal/package.json": manifest("wal", {
      dependencies: MANIFEST.wal,
      exports: { ".": {}, "./testkit": {} },
    }),
    "packages/wal/src/testkit.ts": 'export * from "./arbitraries.ts";\n',
    "packages/wal/src/arbitraries.ts": 'import "fast-check";\n',
  };
  assert.deepEqual(findings(testkit), []);
});

test("tidy: dependency without exact pin, with two versions or without a reason -> refused", () => {
  const wal = (version: string, name = "undici"): Record<string, string> => ({
    "packages/wal/package.json": manifest("wal", {
      dependencies: { ...MANIFEST.wal, [name]: version },
      exports: { ".": {} },
    }),
  });
  assert.deepEqual(findings(wal("7.30.2")), []);
  assert.deepEqual(findings(wal("1.5.5-r.5")), []);
  assertFinds(wal("^7.30.2"), /wal\/package\.json:5 pins: undici \^7\.30\.2: pin one exact version/);
  assertFinds(wal("1.0.0", "left-pad"), /dependency-reason: left-pad: say in docs\/dependencies\.md/);
  assertFinds(wal("4.0.0", "fast-check"), /pins: fast-check 4\.0\.0, but 4\.10\.2 in package\.json/);
});

test("tidy: a file nobody imports -> refused, unless a test, an entry or a worker named by its path", () => {
  assertFinds({ "packages/wal/src/lonely.ts": "export {};\n" }, /lonely\.ts:1 no-orphans/);
  const used = {
    "packages/wal/src/main.ts": 'new URL("./worker.js", import.meta.url);\n',
    "packages/wal/src/worker.ts": "export {};\n",
    "packages/wal/src/index.ts": 'export * from "./a.ts";\n',
    "packages/wal/src/a.ts": 'export * from "./b.ts";\n',
    "packages/wal/src/b.ts": "export {};\n",
    "packages/wal/bin/wal.js": 'import "../dist/command.js";\n',
    "packages/wal/src/command.ts": "export {};\n",
    "packages/wal/src/c.bench.ts": 'import "./d.ts";\n',
    "packages/wal/src/d.ts": "export {};\n",
  };
  assert.deepEqual(findings(used), []);
});

test("tidy: names that say nothing, capitals and inner barrels -> refused", () => {
  const wal = (file: string): Record<string, string> => ({
    "packages/wal/src/index.ts": `export * from "./${file}";\n`,
    [`packages/wal/src/${file}`]: "export {};\n",
  });
  assertFinds(wal("utils.ts"), /file-name: "utils\.ts" says nothing/);
  assertFinds(wal("appendFsm.ts"), /file-name: "appendFsm\.ts" is not kebab-case/);
  assertFinds(wal("log/index.ts"), /no-inner-barrel/);
});

test("tidy: tests that run alone or are skipped without a reason -> refused", () => {
  const path = "packages/wal/src/a.test.ts";
  assertFinds({ [path]: "test.only('a', () => {});\n" }, /a\.test\.ts:1 no-only/);
  assertFinds({ [path]: "test('a', { skip: true }, () => {});\n" }, /skip-reason/);
  assertFinds({ [path]: "it.skip('a', () => {});\n" }, /skip-reason/);
  assert.deepEqual(findings({ [path]: "test('a', { skip: missing }, (t) => t.skip('why'));\n" }), []);
});

test("tidy: an error code without a row, with another status, or without a test -> refused; a stale row too", () => {
  const files = (row: string, mention: string): Record<string, string> => ({
    "packages/base/src/index.ts": 'export * from "./errors.ts";\n',
    "packages/base/src/errors.ts":
      'export const CODES = {\n  TOO_LARGE: { status: 413, retry: "never" },\n};\n',
    "packages/base/src/errors.test.ts": `"${mention}";\n`,
    "docs/errors.md": `| Code |\n${row}\n`,
  });
  const row = "| `TOO_LARGE` | 413 | never | … |";
  assert.deepEqual(findings(files(row, "TOO_LARGE")), []);
  assertFinds(files("", "TOO_LARGE"), /errors\.ts:2 error-codes: TOO_LARGE has no row in docs\/errors\.md/);
  assertFinds(
    files(row.replace("413", "400"), "TOO_LARGE"),
    /TOO_LARGE is 413, never here and 400, never in/,
  );
  assertFinds(files(row, "TOO_SMALL"), /TOO_LARGE: no test names it/);
  assertFinds(
    files(`${row}\n| \`GONE\` | 410 | never |`, "TOO_LARGE"),
    /errors\.md:3 error-codes: GONE is not in/,
  );
});

test("tidy: a metric without a row, one that differs from its row, a row without a metric -> findings", () => {
  const files = (row: string): Record<string, string> => ({
    "packages/wal/src/index.ts":
      'export const a = metrics.gauge(\n  "millrace_a_bytes",\n  "Bytes of a.",\n);\nm.gauge("millrace_b", "");\n',
    "docs/metrics.md": `# Metrics\n${row}`,
  });
  const row = "| `millrace_a_bytes` | gauge | `log` | Bytes of a |";
  assert.deepEqual(findings(files(row)), []);
  assertFinds(files(""), /index\.ts:1 metrics: millrace_a_bytes has no row in docs\/metrics\.md/);
  assertFinds(files(row.replace("gauge", "counter")), /is a gauge, "Bytes of a\." here and a counter/);
  assertFinds(files(row.replace("of a", "of b")), /"Bytes of a\." here and a gauge, "Bytes of b" in/);
  assertFinds(
    files(`${row}\n| \`gone_total\` | counter | | Gone |`),
    /metrics\.md:3 metrics: nothing declares gone_total/,
  );
});
