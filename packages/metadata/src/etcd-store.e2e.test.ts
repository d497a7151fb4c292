// The contract of the coordination store, held by a real etcd, over two transports.
import { test } from "node:test";
import { never, silentLogger, systemClock, systemRandom } from "@millrace/base";
import { EtcdProcess, etcdProgram } from "./etcd-process-testkit.ts";
import { grpcJsChannel } from "./etcd-grpc-js-testkit.ts";
import { dialEtcd } from "./etcd-dial.ts";
import { ETCD_DEFAULTS, type EtcdPorts } from "./etcd-options.ts";
import { openEtcdStore } from "./etcd-store.ts";
import { tellsProgress } from "./etcd-watch-events.ts";
import { coordinationContract } from "./testkit.ts";

const { missing } = etcdProgram;
const version = missing === false ? EtcdProcess.version() : "";
let etcd: EtcdProcess | undefined;
let count = 0;

const ports = { clock: systemClock, random: systemRandom, logger: silentLogger };
/** Our own transport, and another one beside it. */
const TRANSPORTS: Readonly<Record<string, EtcdPorts["connect"]>> = {
  "our gRPC": dialEtcd(ports),
  "grpc-js": (address) => grpcJsChannel(address),
};
/** Cases that wait for leases to end: once is enough. */
const SLOW = /^lease: (not renewed|renewed|without keys)/;

for (const [transport, connect] of Object.entries(TRANSPORTS)) {
  const cases = coordinationContract(async () => {
    etcd ??= await EtcdProcess.start();
    const settings = { ...ETCD_DEFAULTS, endpoints: [etcd.address] };
    const store = await openEtcdStore(settings, { ...ports, connect }, AbortSignal.timeout(60_000));
    return {
      store,
      prefix: `contract/${count++}/`,
      clock: systemClock,
      advance: (ms) => systemClock.sleep(ms, never),
      close: () => store.close(),
    };
  });
  for (const { name, run } of cases) {
    if (transport === "grpc-js" && SLOW.test(name)) continue;
    const untold =
      name.includes("progress") && !tellsProgress(version) && `etcd ${version} tells no reliable progress`;
    test(`etcd ${version} over ${transport}: ${name}`, { skip: missing || untold, timeout: 60_000 }, run);
  }
}

test("etcd: ends", { skip: missing }, async () => etcd?.close());
