// The contract of the coordination store, held by a real etcd.
import { test } from "node:test";
import { never, silentLogger, systemClock, systemRandom } from "@millrace/base";
import { EtcdProcess, etcdProgram } from "./etcd-process-testkit.ts";
import { grpcJsChannel } from "./etcd-grpc-js-testkit.ts";
import { ETCD_DEFAULTS } from "./etcd-options.ts";
import { openEtcdStore } from "./etcd-store.ts";
import { tellsProgress } from "./etcd-watch-events.ts";
import { coordinationContract } from "./testkit.ts";

const { missing } = etcdProgram;
const version = missing === false ? EtcdProcess.version() : "";
let etcd: EtcdProcess | undefined;
let count = 0;

const cases = coordinationContract(async () => {
  etcd ??= await EtcdProcess.start();
  const settings = { ...ETCD_DEFAULTS, endpoints: [etcd.address] };
  const ports = { clock: systemClock, random: systemRandom, logger: silentLogger, connect: grpcJsChannel };
  const store = await openEtcdStore(settings, ports, AbortSignal.timeout(60_000));
  return {
    store,
    prefix: `contract/${count++}/`,
    advance: (ms) => systemClock.sleep(ms, never),
    close: () => store.close(),
  };
});

for (const { name, run } of cases) {
  const untold =
    name.includes("progress") && !tellsProgress(version) && `etcd ${version} tells no reliable progress`;
  test(`etcd ${version} over grpc-js: ${name}`, { skip: missing || untold, timeout: 60_000 }, run);
}

test("etcd: ends", { skip: missing }, async () => etcd?.close());
