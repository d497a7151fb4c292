// The client library against a cluster of Gazette's brokers, one of which dies: nothing acknowledged is lost, and
// appends go on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { never, silentLogger, systemClock, utf8 } from "@millrace/base";
import { applyJournals, AppendService, GrpcTransport, readJournal } from "@millrace/client";
import { newJournalSpec, upsertChange } from "@millrace/protocol";
import { scratch } from "./test-children.ts";
import { GazetteCluster, gazetteMissing } from "./test-gazette.ts";

const JOURNAL = "test/journal";
const PORTS = { clock: systemClock, logger: silentLogger } as const;
const LEASE = "--etcd.lease=3s";

test(
  "append service at four Go brokers, R=3, the primary is killed -> nothing acknowledged is lost, and it goes on",
  {
    skip: gazetteMissing(),
    timeout: 180_000,
  },
  async (t) => {
    const cluster = new GazetteCluster(scratch());
    t.after(() => cluster.kill());
    await cluster.startEtcd();
    const brokers = new Map<string, Awaited<ReturnType<GazetteCluster["startBroker"]>>>();
    for (const id of ["broker-1", "broker-2", "broker-3", "broker-4"]) {
      brokers.set(id, await cluster.startBroker("failing", [LEASE], id));
    }
    const fragment = {
      length: 1 << 20,
      compressionCodec: "NONE",
      stores: ["file:///"],
      refreshIntervalMs: 1000,
    } as const;
    const spec = newJournalSpec({ name: JOURNAL, replication: 3 });
    const change = upsertChange({ ...spec, fragment: { ...spec.fragment, ...fragment } }, 0);
    const setup = new GrpcTransport({ address: brokers.get("broker-1")!.address, ...PORTS });
    await applyJournals(setup, [change], never);
    const primaryOf = async (): Promise<string | undefined> => {
      const { journals } = await setup.list({ selector: ANY, watch: false }, never);
      const { members, primary } = journals[0]!.route;
      return members.length === 3 ? members[primary]?.suffix : undefined;
    };
    let primary: string | undefined;
    while ((primary = await primaryOf()) === undefined) await sleep(50);
    const home = [...brokers].find(([id]) => id !== primary)![1].address;
    await setup.close();

    const transport = new GrpcTransport({ address: home, ...PORTS });
    const service = new AppendService({ transport, ...PORTS });
    t.after(() => transport.close());
    const acknowledged: number[] = [];
    const append = async (record: number): Promise<void> => {
      await service.append(JOURNAL, [utf8(`${record}\n`)]).done;
      acknowledged.push(record);
    };
    let next = 0;
    while (next < 300) await append(next++);
    // Some are under way when it dies.
    const pending = Array.from({ length: 50 }, () => append(next++));
    brokers.get(primary)!.child.process.kill("SIGKILL");
    const diedMs = performance.now();
    await append(next++);
    const pauseMs = Math.round(performance.now() - diedMs);
    await Promise.all(pending);
    while (next < 600) await append(next++);
    await service.close();

    const parts: Uint8Array[] = [];
    for await (const event of readJournal(
      { transport, ...PORTS },
      { journal: JOURNAL, offset: 0, block: false },
      never,
    )) {
      assert.equal(event.kind, "content");
      if (event.kind === "content") parts.push(event.bytes);
    }
    const stands = Buffer.concat(parts).toString().trim().split("\n").map(Number);
    const firsts = [...new Set(stands)];
    assert.deepEqual(
      firsts,
      Array.from({ length: 600 }, (_, i) => i),
      "each record, in order, at least once",
    );
    assert.equal(acknowledged.length, 600);
    t.diagnostic(`${pauseMs} ms without an acknowledged append, ${stands.length - 600} records doubled`);
  },
);

const ANY = { include: { labels: [] }, exclude: { labels: [] } };
