// 10,000 sources with 3 sinks each: what an `http-source` process holds in memory, how long it takes to be ready, and
// how long a change takes to reach every such process. There are no partitions: they come with a first record.
import { setTimeout as sleep } from "node:timers/promises";
import { silentLogger, systemClock, systemRandom } from "@millrace/base";
import { DefinitionRepository, plainSecrets, type Column } from "@millrace/ingest";
import { dialEtcd, ETCD_DEFAULTS, openEtcdStore } from "@millrace/metadata";
import { memoryBytes } from "../processes.ts";
import type { RunOptions, Scenario, ScenarioResult } from "../scenario.ts";
import { spread } from "../statistics.ts";
import { StreamNodes, type BenchNode } from "../streams/nodes.ts";

const SOURCES = 10_000;
const SINKS = 3;
/** A branch has 100 sources at most. */
const PER_BRANCH = 100;
const WRITES_AT_ONCE = 64;
const NODES = 2;
const MIB = 2 ** 20;
const LOOK_MS = 2;
const SETTLE_MS = 3000;

const COLUMNS: readonly Column[] = [
  { type: "uuid", name: "id" },
  { type: "datetime", name: "received_at" },
  { type: "path", name: "origin", path: "origin", defaultValue: "", rawString: true },
  {
    type: "template",
    name: "pair",
    template: { language: "jsonnet", content: "Body('a') + '-' + Body('b')" },
  },
  { type: "body", name: "body" },
];

export const manySources: Scenario = {
  name: "many-sources",
  family: "platform",
  title:
    "10,000 sources with 3 sinks each: memory of `http-source`, its time to be ready, time for a change to reach " +
    "every one of 2 nodes",
  atLeast: "400 MB, 5 s, 200 ms",
  aim: "250 MB, 2 s, 50 ms",
  run: runScenario,
};

async function runScenario(options: RunOptions): Promise<ScenarioResult> {
  const count = options.quick ? SOURCES / 10 : SOURCES;
  const nodes = new StreamNodes();
  try {
    const etcd = await nodes.start("etcd");
    const beganMs = performance.now();
    const first = await define(etcd.url, count);
    options.log(`${count} sources defined in ${((performance.now() - beganMs) / 1000).toFixed(1)} s`);
    await nodes.start("broker");
    await nodes.start("warehouse");
    const sources: BenchNode[] = [];
    const resident: number[] = [];
    for (let i = 0; i < NODES; i++) {
      const source = await nodes.start("http-source");
      sources.push(source);
      await sleep(SETTLE_MS);
      resident.push(memoryBytes(source.pid) / MIB);
      options.log(`ready in ${(source.readyMs / 1000).toFixed(2)} s, ${resident.at(-1)!.toFixed(0)} MiB`);
    }
    const api = await nodes.start("api", ["--http-source.public-url", "http://localhost:7000"]);
    const changeMs: number[] = [];
    for (let i = 0; i < 4 * options.rounds; i++) changeMs.push(await reach(api, sources, first, i % 2 === 0));
    const measured = {
      sources: count,
      residentMiB: spread(resident),
      readySeconds: spread(sources.map(({ readyMs }) => readyMs / 1000)),
      changeMs: spread(changeMs),
    };
    const [memory, ready, change] = [measured.residentMiB, measured.readySeconds, measured.changeMs];
    return {
      figure: `${memory.median.toFixed(0)} MiB, ${ready.median.toFixed(2)} s, ${change.median.toFixed(0)} ms`,
      measured,
    };
  } finally {
    await nodes.close();
  }
}

/** @returns path of the first source, with its secret */
async function define(etcd: string, count: number): Promise<string> {
  const clock = systemClock;
  const ports = { clock, random: systemRandom, logger: silentLogger };
  const store = await openEtcdStore(
    { ...ETCD_DEFAULTS, endpoints: [etcd] },
    { ...ports, connect: dialEtcd(ports) },
    new AbortController().signal,
  );
  const repository = new DefinitionRepository({ ...ports, store, secrets: plainSecrets });
  const by = { type: "system" } as const;
  let next = 0;
  let first = "";
  const write = async (): Promise<void> => {
    const { signal } = new AbortController();
    while (next < count) {
      const n = next++;
      const key = { projectId: 1, branchId: 1 + Math.floor(n / PER_BRANCH), sourceId: `source-${n}` };
      const made = await repository.createSource(
        { ...key, name: `Source ${n}`, description: "" },
        by,
        signal,
      );
      if (made.kind !== "created") throw new Error(`source ${n}: ${made.kind}`);
      if (n === 0) first = `/stream/1/${key.sourceId}/${made.entity.secret}`;
      for (let sink = 0; sink < SINKS; sink++) {
        const table = { tableId: `main.t_${n}_${sink}`, columns: COLUMNS };
        const input = {
          ...key,
          sinkId: `sink-${sink}`,
          name: `Sink ${sink}`,
          description: "",
          ...table,
          settings: {},
        };
        const outcome = await repository.createSink(input, by, signal);
        if (outcome.kind !== "created") throw new Error(`sink ${n}/${sink}: ${outcome.kind}`);
      }
    }
  };
  await Promise.all(Array.from({ length: WRITES_AT_ONCE }, write));
  await store.close();
  return first;
}

/** Disables or enables the first source. @returns until every node answers so, in milliseconds */
async function reach(
  api: BenchNode,
  nodes: readonly BenchNode[],
  path: string,
  disables: boolean,
): Promise<number> {
  const url = `${api.url}/v1/branches/default/sources/source-0/${disables ? "disable" : "enable"}`;
  const beganMs = performance.now();
  const asked = fetch(url, { method: "PUT" });
  const seen = nodes.map(async (node) => {
    for (;;) {
      const response = await fetch(node.url + path, { method: "POST", body: "{}" });
      await response.arrayBuffer();
      if ((response.status === 404) === disables) return performance.now() - beganMs;
      if (performance.now() - beganMs > 30_000)
        throw new Error(`${node.url} still answers ${response.status}`);
      await sleep(LOOK_MS);
    }
  });
  const times = await Promise.all(seen);
  const answer = await asked;
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  await answer.arrayBuffer();
  return Math.max(...times);
}
