import assert from "node:assert/strict";
import { test } from "node:test";
import { environmentSource, flagSource, flattenYaml, printConfig, resolveConfig } from "./config.ts";
import type { Config } from "./settings.ts";
import { checkListeners } from "./listen-policy.ts";

const flags = (entries: Record<string, string>) => flagSource(new Map(Object.entries(entries)));

test("config: later sources win, and each value knows its origin", () => {
  const resolved = resolveConfig([
    flattenYaml({ broker: { listen: "127.0.0.1:1", memory: "8MiB" } }, "m.yaml"),
    environmentSource({ MILLRACE_BROKER_LISTEN: "127.0.0.1:2" }),
    flags({ "broker.listen": "127.0.0.1:3" }),
  ]);
  assert.deepEqual(resolved.config["broker.listen"], { host: "127.0.0.1", port: 3 });
  assert.equal(resolved.config["broker.memory"], 8 * 2 ** 20);
  const printed = new Map(printConfig(resolved).map((line) => [line.name, line]));
  assert.equal(printed.get("broker.listen")?.origin, "flag --broker.listen");
  assert.equal(printed.get("broker.memory")?.origin, "m.yaml: broker.memory");
  assert.equal(printed.get("data")?.origin, "default");
});

const REFUSED: readonly [string, Record<string, string>, RegExp][] = [
  [
    "size out of range",
    { "broker.memory": "1KiB" },
    /flag --broker\.memory: 1KiB is out of range \(1MiB <= value <= 8GiB\)/,
  ],
  ["no size", { "broker.memory": "lots" }, /"lots" is not a size/],
  ["port too large", { "api.listen": "127.0.0.1:70000" }, /HOST:PORT/],
  ["address without port", { "api.listen": "127.0.0.1" }, /HOST:PORT/],
  ["unknown setting", { "brokr.listen": "x" }, /unknown setting \(did you mean .*broker\.listen/],
  [
    "store without a bucket",
    { "journal.store": "s3:///prefix/" },
    /"s3:\/\/\/prefix\/" is not the URL of a store/,
  ],
  ["store that is no prefix", { "journal.store": "file:///a" }, /ends in '\/'/],
  ["negative duration", { "etcd.lease": "-5s" }, /"-5s" is not a duration/],
  ["endless duration", { "etcd.lease": `${"9".repeat(40)}h` }, /a duration such as/],
  ["duration with more", { "etcd.lease": "5s and" }, /a duration such as/],
  ["no duration", { "etcd.lease": "" }, /a duration such as/],
  ["switch that is neither", { "broker.file-only": "yes" }, /"yes" is not true or false/],
  ["prefix with what parts keys", { "etcd.prefix": "/x#y" }, /"\/x#y" is not a root of keys.* without '#'/],
  ["prefix with a space", { "etcd.prefix": "/a b" }, /"\/a b" is not a root of keys/],
  ["prefix that ends in a slash", { "etcd.prefix": "/a/" }, /etcd\.prefix.*"\/a\/" is not a clean path/],
  ["prefix with two slashes", { "etcd.prefix": "/a//b" }, /is not a clean path/],
  ["prefix with dots", { "etcd.prefix": "/a/../b" }, /is not a clean path/],
  ["no prefix", { "etcd.prefix": "" }, /"" is not a root of keys/],
  ["duration without unit", { "shutdown.timeout": "5" }, /a duration such as/],
];
for (const [name, given, expected] of REFUSED) {
  test(`config: ${name} -> refused with value and bound`, () => {
    assert.throws(() => resolveConfig([flags(given)]), expected);
  });
}

test("config: stores of every kind, with arguments -> taken", () => {
  const urls = [
    "file:///",
    "s3://b/p/?region=x",
    "gs://b/",
    "azure://c/p/",
    "azure-ad://t/a/c/p/?find=a&replace=b",
  ];
  for (const url of urls)
    assert.equal(resolveConfig([flags({ "journal.store": url })]).config["journal.store"], url);
});

test("config: durations and switches as Go's programs print and take them", () => {
  for (const [text, ms] of [
    ["1h0m0s", 3_600_000],
    ["1m30s", 90_000],
    ["1.5s", 1500],
    ["1500ms", 1500],
    ["2000000us", 2000],
    ["3000000\u00b5s", 3000],
  ] as const)
    assert.equal(resolveConfig([flags({ "etcd.lease": text })]).config["etcd.lease"], ms);
  assert.equal(resolveConfig([flags({ "broker.watch-delay": "0" })]).config["broker.watch-delay"], 0);
  assert.equal(
    resolveConfig([flags({ "stream.retention": "1.5d" })]).config["stream.retention"],
    129_600_000,
  );
  const isOn = (text: string) =>
    resolveConfig([environmentSource({ MILLRACE_BROKER_AUTO_SUSPEND: text })]).config["broker.auto-suspend"];
  assert.deepEqual(["1", "t", "T", "true", "True", "TRUE", ""].map(isOn), Array(7).fill(true));
  assert.deepEqual(["0", "f", "F", "false", "False", "FALSE"].map(isOn), Array(6).fill(false));
});

test("config: secrets are masked, in print-config and in errors", () => {
  const resolved = resolveConfig([flags({ "auth.token": "a-very-secret-token" })]);
  assert.equal(printConfig(resolved).find((line) => line.name === "auth.token")?.value, "****");
});

test("config: every default is in its own range", () => {
  assert.ok(printConfig(resolveConfig([])).length > 20);
});

test("config: a MILLRACE_ variable that is no setting -> refused, and what may be meant is named", () => {
  for (const [name, message] of [
    ["MILLRACE_BROKR_MEMORY", "unknown setting (did you mean MILLRACE_BROKER_MEMORY?)"],
    ["MILLRACE_BROKER_LISTN", "unknown setting (did you mean MILLRACE_BROKER_LISTEN?)"],
    ["MILLRACE_COLOUR", "unknown setting"],
  ] as const) {
    assert.throws(() => environmentSource({ [name]: "1" }), {
      code: "INVALID_ARGUMENT",
      message: `environment ${name}: ${message}`,
    });
  }
  assert.throws(() => resolveConfig([flags({ "brokr.memory": "1GiB" })]), /did you mean .*broker\.memory/);
});

test("config: an etcd is given -> Gazette's defaults for a broker of a cluster, below whatever was set", () => {
  const of = (given: Record<string, string>) => resolveConfig([flags(given)]).config;
  const some = (config: Config) => [
    config["broker.limit"],
    config["broker.watch-delay"],
    config["broker.id"],
  ];
  assert.deepEqual(some(of({})), [131_072, 0, ""]);
  assert.deepEqual(some(of({ "etcd.address": "http://e:2379" })), [1024, 30, ""]);
  assert.deepEqual(some(of({ "etcd.address": "http://e:2379", "broker.limit": "7" })), [7, 30, ""]);
  const overridden = resolveConfig([
    flags({ "etcd.address": "http://e:2379" }),
    flags({ "etcd.address": "" }),
  ]);
  assert.deepEqual(some(overridden.config), [131_072, 0, ""]);
  const addresses = "http://a:2379, https://[::1]:2379/,unix:///run/etcd.sock";
  assert.equal(of({ "etcd.address": addresses })["etcd.address"].length, 3);
  for (const wrong of ["a:2379", "ftp://a", "http://", "http://a:2379/path", "unix://"])
    assert.throws(() => of({ "etcd.address": wrong }), /is not http:\/\/HOST:PORT/);
});

test("config: variables of the repository's scripts and of service links -> left alone", () => {
  const names = [
    "CONFIG QUICK PEERS CRASH_ROUNDS TEST_KEEP PORT SERVICE_HOST SERVICE_PORT SERVICE_PORT_HTTP PORT_8080_TCP",
    "BROKER_SERVICE_HOST BROKER_PORT_8080_TCP_ADDR",
  ].join(" ");
  const environment = Object.fromEntries(
    names.split(" ").map((name) => [`MILLRACE_${name}`, "tcp://10.0.0.1:8080"]),
  );
  assert.deepEqual([...environmentSource({ ...environment, OTHER: "1" }).texts], []);
});

const LISTENERS: readonly [string, Record<string, string>, boolean][] = [
  ["loopback", {}, true],
  ["all of 127/8", { "api.listen": "127.3.2.1:0" }, true],
  ["IPv6 loopback", { "api.listen": "[::1]:0" }, true],
  ["everywhere", { "api.listen": "0.0.0.0:0" }, false],
  ["everywhere with a token", { "api.listen": "0.0.0.0:0", "auth.token": "0123456789abcdef" }, true],
  ["everywhere with a short token", { "api.listen": "0.0.0.0:0", "auth.token": "short" }, false],
  ["everywhere, anonymous on purpose", { "api.listen": "0.0.0.0:0", "allow-anonymous": "true" }, true],
];
for (const [name, given, fine] of LISTENERS) {
  test(`listen policy: ${name} -> ${fine ? "allowed" : "refused"}`, () => {
    const { config } = resolveConfig([flags(given)]);
    if (fine) checkListeners(config);
    else assert.throws(() => checkListeners(config), /auth\.token/);
  });
}
