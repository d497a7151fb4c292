import assert from "node:assert/strict";
import { test } from "node:test";
import {
  brokerAddress,
  brokerEndpoint,
  localBrokerUrl,
  tlsFiles,
  unverifiedClients,
} from "./broker-place.ts";
import { environmentSource, flagSource, gazetteSource, resolveConfig } from "./config.ts";
import { checkListeners, openListeners } from "./listen-policy.ts";
import type { Config } from "./settings.ts";

function configOf(
  flags: Readonly<Record<string, string>>,
  environment: Readonly<Record<string, string>> = {},
): Config {
  const sources = [gazetteSource(environment), environmentSource(environment)];
  return resolveConfig([...sources, flagSource(new Map(Object.entries(flags)))]).config;
}

const PEM = { "broker.server-cert-file": "c.pem", "broker.server-cert-key-file": "k.pem" };

test("broker's place: our name -> as it says; Gazette's -> every interface, known by the given host", () => {
  const own = configOf({ "broker.listen": "127.0.0.1:9080" });
  assert.deepEqual(brokerAddress(own), { host: "127.0.0.1", port: 9080 });
  assert.equal(brokerEndpoint(own, { host: "127.0.0.1", port: 9080 }, "me"), "http://127.0.0.1:9080");

  const gazette = configOf({ "broker.port": "8080" });
  assert.deepEqual(brokerAddress(gazette), { host: "", port: 8080 });
  assert.equal(brokerEndpoint(gazette, { host: "", port: 8080 }, "me"), "http://me:8080");
  assert.equal(localBrokerUrl(gazette, { host: "", port: 8080 }), "http://127.0.0.1:8080");

  const named = configOf({ "broker.host": "broker.example", ...PEM });
  assert.deepEqual(brokerAddress(named), { host: "", port: 0 });
  assert.equal(brokerEndpoint(named, { host: "", port: 1234 }, "me"), "https://broker.example:1234");
});

test("broker's place: advertised -> others are told that, whatever it listens on; port 0 or none -> refused", () => {
  const advertise = { "broker.advertise": "broker-1.example:443" };
  const bound = { host: "127.0.0.1", port: 9080 };
  assert.equal(brokerEndpoint(configOf(advertise), bound, "me"), "http://broker-1.example:443");
  const gazette = configOf({ ...advertise, ...PEM, "broker.host": "me", "broker.port": "8080" });
  assert.equal(brokerEndpoint(gazette, bound, "me"), "https://broker-1.example:443");
  assert.equal(localBrokerUrl(gazette, bound), "https://127.0.0.1:9080");
  assert.deepEqual(brokerAddress(gazette), { host: "", port: 8080 });
  for (const text of ["broker-1.example", "broker-1.example:0", "http://broker-1.example:443"])
    assert.throws(
      () => configOf({ "broker.advertise": text }),
      /broker\.advertise: "[^"]+" is not HOST:PORT/,
    );
});

test("broker's place: port that is none, certificate without its key -> refused, naming the setting", () => {
  assert.throws(() => brokerAddress(configOf({ "broker.port": "65536" })), /broker\.port: "65536"/);
  assert.throws(() => brokerAddress(configOf({ "broker.port": "unix://x" })), /broker\.port/);
  const config = configOf({ "broker.server-cert-file": "c.pem" });
  assert.throws(() => tlsFiles(config), /broker\.server-cert-file needs broker\.server-cert-key-file/);
});

test("broker's place: a unix port -> its path, endpoint with the host, no TLS, nobody beyond this machine", () => {
  const config = configOf({ "broker.port": "unix:///run/b.sock", ...PEM });
  assert.deepEqual(brokerAddress(config), { host: "", port: 0, path: "/run/b.sock" });
  const bound = { host: "", port: 0 };
  assert.equal(brokerEndpoint(config, bound, "me"), "unix://me/run/b.sock");
  assert.equal(localBrokerUrl(config, bound), "unix:///run/b.sock");
  assert.equal(tlsFiles(config), undefined);
  assert.deepEqual(openListeners(config), []);
});

test("broker's place: authorities of clients where nobody is verified -> told why", () => {
  const setting = "broker.server-ca-file";
  const ca = { [setting]: "ca.pem" };
  assert.equal(unverifiedClients(configOf({})), undefined);
  assert.equal(unverifiedClients(configOf({ ...ca, ...PEM })), undefined);
  const plain = { setting, reason: "broker.server-cert-file is not set" };
  assert.deepEqual(unverifiedClients(configOf(ca)), plain);
  const unix = configOf({ ...ca, ...PEM, "broker.port": "unix:///run/b.sock" });
  assert.deepEqual(unverifiedClients(unix), { setting, reason: "a unix port has no TLS" });
});

test("listen policy: Gazette's names without a credential -> allowed, and told what would authenticate", () => {
  const config = configOf({ "broker.port": "8080" });
  checkListeners(config);
  assert.deepEqual(openListeners(config), [
    { setting: "broker.port", address: ":8080", remedy: "broker.auth-keys" },
  ]);
  const beyond = configOf({ "broker.listen": "0.0.0.0:8080" });
  assert.throws(() => checkListeners(beyond), { code: "INVALID_ARGUMENT" });
  for (const keys of ["c2VjcmV0", "c2VjcmV0 b3RoZXI="]) {
    assert.deepEqual(
      openListeners(configOf({ "broker.listen": "0.0.0.0:8080", "broker.auth-keys": keys })),
      [],
    );
  }
  const permissive = configOf({ "broker.listen": "0.0.0.0:8080", "broker.auth-keys": "c2VjcmV0 AA==" });
  assert.throws(() => checkListeners(permissive), { code: "INVALID_ARGUMENT" });
});

test("broker.id: too short or too long -> refused as it is read, with value and bound", () => {
  const too = (id: string) => new RegExp(`"${id}" has ${id.length} characters \\(expected 4 to 128\\)$`);
  for (const id of ["b1", "b".repeat(129)]) assert.throws(() => configOf({ "broker.id": id }), too(id));
  for (const id of ["", "b001", "b".repeat(128)])
    assert.equal(configOf({ "broker.id": id })["broker.id"], id);
});

test("gazette's variables: each names its setting, ours win, links of services are nobody's", () => {
  const config = configOf(
    { "broker.limit": "7" },
    {
      BROKER_ID: "theirs",
      BROKER_ZONE: "theirs",
      MILLRACE_BROKER_ZONE: "ours",
      BROKER_LIMIT: "5",
      BROKER_PORT: "tcp://10.0.0.1:8080",
      BROKER_SERVER_CERT_KEY_FILE: "k.pem",
      ETCD_LEASE_TTL: "3s",
      ETCD_PREFIX: "/elsewhere",
      LOG_LEVEL: "trace",
      LOG_FORMAT: "logfmt",
      DEBUG_PORT: "tcp://10.0.0.1:8090",
      BROKER_FILE_ONLY: "true",
      ETCD_ADDRESS: "http://etcd:2379",
      BROKER_UNHEARD_OF: "x",
    },
  );
  assert.deepEqual(
    (
      [
        "broker.id",
        "broker.zone",
        "broker.limit",
        "broker.port",
        "broker.server-cert-key-file",
        "etcd.lease",
        "etcd.prefix",
        "log.level",
        "log.format",
        "debug.port",
        "broker.file-only",
        "etcd.address",
      ] as const
    ).map((name) => config[name]),
    ["theirs", "ours", 7, "", "k.pem", 3000, "/elsewhere", "debug", "json", "", true, ["http://etcd:2379"]],
  );
});

test("gazette's variables: levels in any case; one that only others know -> as if it were not there", () => {
  const levelOf = (text: string): string => configOf({}, { LOG_LEVEL: text })["log.level"];
  assert.deepEqual(["INFO", "Warning", "panic", "verbose"].map(levelOf), ["info", "warn", "error", "warn"]);
});

test("keys of tokens: text that is none -> refused without showing it, saying why", () => {
  assert.throws(
    () => configOf({ "broker.auth-keys": "not base64" }),
    (error: Error) => {
      assert.equal(
        error.message,
        "flag --broker.auth-keys: failed to decode key at index 0: illegal base64 data",
      );
      return true;
    },
  );
});
