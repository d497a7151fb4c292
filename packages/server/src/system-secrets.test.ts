import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { never, silentLogger, WireError, type Logger } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { plainSecrets, type KeyContext, type KeyService, type SecretBox } from "@millrace/ingest";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { flagSource, resolveConfig } from "./config.ts";
import { Health } from "./health.ts";
import { Lifecycle } from "./lifecycle.ts";
import type { Config } from "./settings.ts";
import { readFileKeys, startSecrets } from "./system-secrets.ts";

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

/** Wraps by writing the context and the key's name before it. */
function modelService(): { readonly service: KeyService; readonly contexts: KeyContext[] } {
  const contexts: KeyContext[] = [];
  const label = (key: string, context: KeyContext): string => JSON.stringify([key, context]);
  const service: KeyService = {
    provider: "aws-kms",
    generate: (key, context) => {
      contexts.push(context);
      const plain = seededRandom("data key").fill(new Uint8Array(32));
      const wrapped = Buffer.concat([Buffer.from(label(key, context)), plain]);
      return Promise.resolve({ plain, wrapped, by: key });
    },
    unwrap: (wrapped, key, context) => {
      assert.equal(Buffer.from(wrapped.subarray(0, -32)).toString(), label(key, context));
      return Promise.resolve(wrapped.subarray(-32));
    },
    failureOf: (thrown) => ({ kind: "refused", reason: String(thrown), remedy: "" }),
  };
  return { service, contexts };
}

/** One installation over its starts, each with other settings. */
async function installation() {
  const clock = new SimulatedClock(new Agenda());
  const random = seededRandom("installation");
  const coordination = await openMemoryStore(clock, random);
  const { service, contexts } = modelService();
  const start = async (flags: Readonly<Record<string, string>>): Promise<SecretBox> => {
    const config = configOf(flags);
    const fileKeys = readFileKeys(config, silentLogger);
    const ports = { coordination, clock, random, logger: silentLogger, health: new Health() };
    const onFatal = (error: unknown): void => assert.fail(String(error));
    const lifecycle = new Lifecycle(silentLogger);
    const context = { ...ports, config, fileKeys, onFatal };
    const secrets = await startSecrets(lifecycle, context, never, () => Promise.resolve(service));
    await lifecycle.stop(never);
    return secrets;
  };
  return { start, contexts };
}

const [one, two] = ["1", "2"].map((digit) => Buffer.from(digit.repeat(32)).toString("base64"));

test("secrets: a key file -> sealed with its first key, opened with any", async () => {
  const { start } = await installation();
  const aes = { "encryption.provider": "aes", "encryption.key-file": keyFile(`${one}\n`) };
  const sealed = (await start(aes)).seal("secret", "place");
  assert.ok(!JSON.stringify(sealed).includes("secret"));
  keyFile(`${two}\n${one}\n`);
  assert.equal((await start(aes)).open(sealed, "place"), "secret");
});

test("secrets: nothing given -> plain, and no service is asked", async () => {
  const { start, contexts } = await installation();
  assert.equal(await start({}), plainSecrets);
  assert.deepEqual(contexts, []);
});

test("secrets: a file and a KMS, whichever seals -> both open; the context names the prefix", async () => {
  const { start, contexts } = await installation();
  const both = {
    "encryption.key-file": keyFile(`${one}\n`),
    "encryption.kms-key": "alias/a",
    "etcd.prefix": "/mine",
  };
  const aes = { "encryption.provider": "aes", ...both };
  const kms = { "encryption.provider": "aws-kms", ...both };
  const [ofFile, ofKms] = [(await start(aes)).seal("f", "x"), (await start(kms)).seal("k", "x")];
  for (const flags of [aes, kms]) {
    const secrets = await start(flags);
    assert.deepEqual([secrets.open(ofFile, "x"), secrets.open(ofKms, "x")], ["f", "k"]);
  }
  assert.equal(contexts.length, 1);
  assert.deepEqual(Object.keys(contexts[0]!), ["millrace-prefix", "millrace-installation"]);
  assert.equal(contexts[0]!["millrace-prefix"], "/mine");
});

const missing = join(directory, "missing");
const cases: [what: string, values: Record<string, string>, problem: RegExp][] = [
  ["a key file without a provider", { "encryption.key-file": missing }, /without --encryption.provider aes/],
  ["a provider without a key file", { "encryption.provider": "aes" }, /needs --encryption.key-file/],
  ["a KMS without a key", { "encryption.provider": "aws-kms" }, /aws-kms needs --encryption.kms-key$/],
  [
    "a key of a KMS without a provider",
    { "encryption.kms-key": "a" },
    /kms-key is given without --encryption.provider/,
  ],
  [
    "a region without a key",
    { "encryption.kms-region": "x" },
    /kms-region is given without --encryption.kms-key$/,
  ],
  [
    "an age without a key",
    { "encryption.kms-rotate-after": "90d" },
    /kms-rotate-after is given without --encryption.kms-key$/,
  ],
  [
    "many keys of a KMS",
    { "encryption.provider": "aws-kms", "encryption.kms-key": "a,b,c,d,e,f,g,h,i" },
    /names 9 keys \(expected at most 8\)/,
  ],
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
      () => readFileKeys(configOf(values), silentLogger),
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
    readFileKeys(config, { ...silentLogger, warn });
  }
  chmodSync(file, 0o600);
  const said = ["640", "604"].map((mode) => ["key-file-open-to-others", { file, mode }]);
  assert.deepEqual(warnings, said);
});

test("secrets: plain while other machines send records -> the log says so", () => {
  const events: string[] = [];
  const logger: Logger = { ...silentLogger, warn: (event) => void events.push(event) };
  readFileKeys(configOf({ "http-source.listen": "0.0.0.0:7000" }), logger);
  readFileKeys(configOf({}), logger);
  assert.deepEqual(events, ["secrets-stored-plain"]);
});
