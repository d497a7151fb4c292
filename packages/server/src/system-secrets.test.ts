import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { silentLogger, WireError, type Logger } from "@millrace/base";
import { flagSource, resolveConfig } from "./config.ts";
import type { Config } from "./settings.ts";
import { openSecrets } from "./system-secrets.ts";

const directory = mkdtempSync(join(tmpdir(), "millrace-secrets-"));
after(() => rmSync(directory, { recursive: true }));

function configOf(flags: Readonly<Record<string, string>>): Config {
  return resolveConfig([flagSource(new Map(Object.entries(flags)))]).config;
}

function keyFile(content: string): string {
  const file = join(directory, "keys");
  writeFileSync(file, content);
  return file;
}

test("secrets: a key file -> sealed with its first key, opened with any", () => {
  const [one, two] = ["1", "2"].map((digit) => Buffer.from(digit.repeat(32)).toString("base64"));
  const aes = { "encryption.provider": "aes", "encryption.key-file": keyFile(`${one}\n`) };
  const sealed = openSecrets(configOf(aes), silentLogger).seal("secret", "place");
  assert.ok(!JSON.stringify(sealed).includes("secret"));
  keyFile(`${two}\n${one}\n`);
  assert.equal(openSecrets(configOf(aes), silentLogger).open(sealed, "place"), "secret");
});

const missing = join(directory, "missing");
const cases: [what: string, values: Record<string, string>, problem: RegExp][] = [
  ["a key file without a provider", { "encryption.key-file": missing }, /without --encryption.provider aes/],
  ["a provider without a key file", { "encryption.provider": "aes" }, /needs --encryption.key-file/],
  [
    "a file that is not there",
    { "encryption.provider": "aes", "encryption.key-file": missing },
    /missing: ENOENT$/,
  ],
  [
    "a file that holds something else",
    { "encryption.provider": "aes", "encryption.key-file": join(directory, "keys") },
    /keys: line 1 is not base64 of 32 bytes$/,
  ],
];
for (const [what, values, problem] of cases) {
  test(`secrets: ${what} -> refused`, () => {
    keyFile("open sesame");
    assert.throws(
      () => openSecrets(configOf(values), silentLogger),
      (error) =>
        error instanceof WireError && error.code === "INVALID_ARGUMENT" && problem.test(error.message),
    );
  });
}

test("secrets: a key file that others may read -> the log says so with its mode; of its owner alone -> nothing", () => {
  const warnings: unknown[] = [];
  const warn: Logger["warn"] = (event, fields) => void warnings.push([event, fields]);
  const file = keyFile(`${Buffer.from("1".repeat(32)).toString("base64")}\n`);
  const config = configOf({ "encryption.provider": "aes", "encryption.key-file": file });
  for (const mode of [0o600, 0o400, 0o640, 0o604]) {
    chmodSync(file, mode);
    openSecrets(config, { ...silentLogger, warn });
  }
  chmodSync(file, 0o600);
  const said = ["640", "604"].map((mode) => ["key-file-open-to-others", { file, mode }]);
  assert.deepEqual(warnings, said);
});

test("secrets: plain while other machines send records -> the log says so", () => {
  const events: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (event) => void events.push(event) };
  openSecrets(configOf({ "http-source.listen": "0.0.0.0:7000" }), logger);
  openSecrets(configOf({}), logger);
  assert.deepEqual(events, ["secrets-stored-plain"]);
});
