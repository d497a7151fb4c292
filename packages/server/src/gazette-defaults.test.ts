// Every flag of Gazette's broker and its default, as its own table has them: a process that is placed by Gazette's
// names and is a broker alone has the same.
import assert from "node:assert/strict";
import { test } from "node:test";
import { brokerAddress, brokerEndpoint } from "./broker-place.ts";
import {
  environmentSource,
  flagSource,
  gazetteDefaults,
  gazetteSource,
  printConfig,
  resolveConfig,
  type ConfigSource,
} from "./config.ts";
import { gazetteVariable } from "./gazette-names.ts";
import type { SettingName } from "./settings.ts";

/** "": none. Of `broker.id`, `broker.host` and `broker.port` there is none to be written down: see below. */
const TABLE: readonly (readonly [flag: SettingName, variable: string, standard: string])[] = [
  ["broker.zone", "BROKER_ZONE", "local"],
  ["broker.id", "BROKER_ID", ""],
  ["broker.host", "BROKER_HOST", ""],
  ["broker.port", "BROKER_PORT", ""],
  ["broker.server-cert-file", "BROKER_SERVER_CERT_FILE", ""],
  ["broker.server-cert-key-file", "BROKER_SERVER_CERT_KEY_FILE", ""],
  ["broker.server-ca-file", "BROKER_SERVER_CA_FILE", ""],
  ["broker.peer-cert-file", "BROKER_PEER_CERT_FILE", ""],
  ["broker.peer-cert-key-file", "BROKER_PEER_CERT_KEY_FILE", ""],
  ["broker.peer-ca-file", "BROKER_PEER_CA_FILE", ""],
  ["broker.max-grpc-recv-size", "BROKER_MAX_GRPC_RECV_SIZE", "4194304"],
  ["broker.allow-origin", "BROKER_ALLOW_ORIGIN", ""],
  ["broker.limit", "BROKER_LIMIT", "1024"],
  ["broker.file-root", "BROKER_FILE_ROOT", ""],
  ["broker.file-only", "BROKER_FILE_ONLY", "false"],
  ["broker.max-append-rate", "BROKER_MAX_APPEND_RATE", "0"],
  ["broker.max-replication", "BROKER_MAX_REPLICATION", "9"],
  ["broker.min-append-rate", "BROKER_MIN_APPEND_RATE", "65536"],
  ["broker.watch-delay", "BROKER_WATCH_DELAY", "30ms"],
  ["broker.auth-keys", "BROKER_AUTH_KEYS", ""],
  ["broker.auto-suspend", "BROKER_AUTO_SUSPEND", "false"],
  ["etcd.address", "ETCD_ADDRESS", "http://localhost:2379"],
  ["etcd.cert-file", "ETCD_CERT_FILE", ""],
  ["etcd.cert-key-file", "ETCD_CERT_KEY_FILE", ""],
  ["etcd.trusted-ca-file", "ETCD_TRUSTED_CA_FILE", ""],
  ["etcd.lease", "ETCD_LEASE_TTL", "20s"],
  ["etcd.prefix", "ETCD_PREFIX", "/gazette/cluster"],
  ["log.level", "LOG_LEVEL", "warn"],
  ["log.format", "LOG_FORMAT", "text"],
  ["debug.port", "DEBUG_PORT", ""],
  ["debug.private", "DEBUG_PRIVATE", "false"],
];
const PLACED = { "broker.port": "0" };

function resolved(flags: Readonly<Record<string, string>>, ...below: readonly ConfigSource[]) {
  return resolveConfig([...below, flagSource(new Map(Object.entries(flags)))]);
}

test("gazette's defaults: every flag that is not given -> what Gazette's broker has", () => {
  const printed = new Map(
    printConfig(resolved(PLACED, gazetteDefaults())).map(({ name, value }) => [name, value]),
  );
  const ours = TABLE.map(([flag]) => [flag, flag === "broker.port" ? "" : printed.get(flag)]);
  assert.deepEqual(
    ours,
    TABLE.map(([flag, , standard]) => [flag, standard]),
  );
});

test("gazette's variables: each is that of its flag", () => {
  assert.deepEqual(
    TABLE.map(([flag]) => gazetteVariable(flag)),
    TABLE.map(([, variable]) => variable),
  );
});

test("gazette's defaults: no host, no port -> the machine's name, a free port, on every interface", () => {
  const { config } = resolved({ "broker.host": "me.example" }, gazetteDefaults());
  assert.deepEqual(brokerAddress(config), { host: "", port: 0 });
  const unnamed = resolved(PLACED, gazetteDefaults()).config;
  assert.equal(brokerEndpoint(unnamed, { host: "", port: 1234 }, "machine"), "http://machine:1234");
});

test("gazette's defaults: whatever is given wins, an empty address for a store of its own too", () => {
  const given = resolved(
    { ...PLACED, "etcd.address": "http://e:2379", "log.format": "json" },
    gazetteDefaults(),
  );
  assert.deepEqual(given.config["etcd.address"], ["http://e:2379"]);
  assert.equal(given.config["log.format"], "json");
  const own = resolved({ ...PLACED, "etcd.address": "" }, gazetteDefaults());
  assert.deepEqual(own.config["etcd.address"], []);
  assert.deepEqual([own.config["broker.limit"], own.config["broker.watch-delay"]], [131_072, 0]);
  const environment = { ETCD_ADDRESS: "http://theirs:2379", MILLRACE_LOG_FORMAT: "color" };
  const sources = [gazetteSource(environment), environmentSource(environment)];
  const { config, origins } = resolved(PLACED, gazetteDefaults(), ...sources);
  assert.deepEqual([config["etcd.address"], config["log.format"]], [["http://theirs:2379"], "color"]);
  assert.equal(origins.get("etcd.address"), "environment ETCD_ADDRESS");
  const { origins: standard } = resolved(PLACED, gazetteDefaults());
  assert.equal(standard.get("etcd.address"), "default of Gazette's brokers");
});
