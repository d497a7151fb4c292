// Quotas where door, reader and warehouse are processes of their own: what waits for its table on the brokers' disks is
// refused with 507 at every door, whoever of the others is away, and taken again once it is loaded.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoints } from "./endpoints.ts";
import { ask, post, type Answer } from "./test-http.ts";
import { until } from "./test-platform.ts";
import { clusterOfFile, type StreamCluster, type TestNode } from "./test-stream-cluster.ts";
import { createStream, finished, pathColumn, sourcesUrl, waitForRows } from "./test-streams.ts";

const QUOTA = "storage.level.local.quota";
const KIB = 1024;
/** Beyond either quota long before that many were sent. */
const RECORDS_MAX = 2000;
const WAIT_MS = 60_000;
/** What is looked at every now and then may be seen late; a door does not take more meanwhile than is sent here. */
const PAUSE_MS = 20;

const openCluster = clusterOfFile();

/** A source with a sink of its own, and how many records were taken for it. */
class Stream {
  taken = 0;
  readonly id: string;
  readonly #path: string;

  private constructor(id: string, path: string) {
    this.id = id;
    this.#path = path;
  }

  static async create(endpoints: Endpoints, id: string): Promise<Stream> {
    const url = await createStream(endpoints, id, [pathColumn("n"), { type: "body", name: "body" }]);
    return new Stream(id, new URL(url).pathname);
  }

  async send(door: TestNode): Promise<Answer> {
    const answer = await post(door.url + this.#path, { n: this.taken, text: "x".repeat(KIB) });
    if (answer.status === 200) this.taken++;
    else assert.equal(answer.status, 507, answer.text);
    return answer;
  }

  /** @returns the refusal that comes in the end */
  async fill(door: TestNode): Promise<Answer> {
    let last: Answer | undefined;
    const begin = this.taken;
    await until(
      () => `${door.name} refuses records of ${this.id}: ${this.taken} taken, ${String(last?.status)}`,
      WAIT_MS,
      async () => {
        last = await this.send(door);
        assert.ok(this.taken - begin < RECORDS_MAX, `${RECORDS_MAX} records were taken`);
        return last.status === 507;
      },
      PAUSE_MS,
    );
    return last!;
  }

  async isTaken(door: TestNode): Promise<void> {
    const taken = async (): Promise<boolean> => (await this.send(door)).status === 200;
    await until(`${door.name} takes records of ${this.id}`, WAIT_MS, taken, PAUSE_MS);
  }

  hasRows(endpoints: Endpoints): Promise<void> {
    return waitForRows(endpoints, `main.${this.id}`, this.taken, WAIT_MS);
  }

  async bound(endpoints: Endpoints, value: string): Promise<void> {
    const url = `${sourcesUrl(endpoints)}/${this.id}/sinks/${this.id}/settings`;
    const body = JSON.stringify({ settings: [{ key: QUOTA, value }] });
    const headers = { "content-type": "application/json" };
    await finished(endpoints, await ask(url, { method: "PATCH", headers, body }));
  }
}

function isRefused(answer: Answer, reason: RegExp): void {
  const { sources } = answer.json() as { sources: { sinks: Readonly<Record<string, unknown>>[] }[] };
  const [sink] = sources[0]!.sinks;
  assert.deepEqual([answer.status, sink!["error"]], [507, "stream.in.insufficientStorage"], answer.text);
  assert.match(String(sink!["message"]), reason);
  assert.equal(answer.headers["retry-after"], "5");
}

const OWN = /^Records of [0-9.]+K?B wait for the table of the sink, its quota is 16KB\.$/;
const ALL = /^Records of [0-9.]+K?B wait for the tables of all sinks, their quota is 128KB\.$/;

async function opened(): Promise<{ cluster: StreamCluster; bounded: Stream; other: Stream }> {
  const cluster = await openCluster({
    counts: { "http-source": 2 },
    flags: ["--http-source.quota", "128KiB"],
  });
  const endpoints = cluster.endpoints();
  const bounded = await Stream.create(endpoints, "bounded");
  await bounded.bound(endpoints, "16KB");
  const other = await Stream.create(endpoints, "other");
  for (const stream of [bounded, other]) {
    for (const door of cluster.all("http-source")) await stream.isTaken(door);
    await stream.hasRows(endpoints);
  }
  return { cluster, bounded, other };
}

test("a quota of a sink, then of all -> 507 with the reason at each door, until it is loaded", async () => {
  const { cluster, bounded, other } = await opened();
  const endpoints = cluster.endpoints();
  const doors = cluster.all("http-source");
  const [first, second] = doors as [TestNode, TestNode];
  const [warehouse, reader] = [cluster.all("warehouse")[0]!, cluster.all("storage-reader")[0]!];
  await cluster.told(async () => {
    for (const away of [warehouse, reader]) {
      await away.kill();
      isRefused(await bounded.fill(first), OWN);
      isRefused(await bounded.fill(second), OWN);
      assert.equal((await other.send(first)).status, 200, "another sink is not concerned");
      isRefused(await other.fill(first), ALL);
      isRefused(await other.fill(second), ALL);
      // One that begins anew has not forgotten what waits.
      await second.kill();
      await second.start();
      if (away === warehouse) isRefused(await bounded.fill(second), OWN);
      await away.start();
      for (const stream of [bounded, other]) {
        for (const door of doors) await stream.isTaken(door);
        await stream.hasRows(endpoints);
      }
    }
  });
});
