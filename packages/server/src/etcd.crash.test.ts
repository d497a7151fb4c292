// `kill -9` of `millrace serve etcd` under load, again and again on the same data: what was acknowledged is there, at
// the revision that was told, and leases of others live on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, systemClock, utf8 } from "@millrace/base";
import { callUnary, GrpcChannel } from "@millrace/grpc";
import { etcdKv, etcdLease, type EtcdMethod } from "@millrace/metadata";
import { decode, encode } from "@millrace/protobuf";
import { scratch, TestPlatform, until } from "./test-platform.ts";

const WRITERS = 16;
const ACKNOWLEDGED_A_LIFE = 300;
const LIVES = 3;

class Client {
  readonly #channel: GrpcChannel;

  constructor(address: string) {
    this.#channel = new GrpcChannel({ address, clock: systemClock, logger: silentLogger });
  }

  async call<Request, Response>(
    { path, request, response }: EtcdMethod<Request, Response>,
    fields: Partial<Request>,
  ): Promise<Response> {
    const bytes = encode(request, { ...request.zero, ...fields });
    return decode(response, await callUnary(this.#channel, path, bytes, { timeoutMs: 30_000 }, never));
  }

  close(): Promise<void> {
    return this.#channel.close(AbortSignal.abort(new Error("closed")));
  }
}

test("kill -9 under load -> every acknowledged put and lease is there after each restart", async () => {
  const data = scratch();
  const acknowledged = new Map<string, number>();
  const leases: bigint[] = [];
  let lastRevision = 0;
  for (let life = 0; life < LIVES; life++) {
    const platform = TestPlatform.launch(data, [], ["serve", "etcd"]);
    await platform.ready();
    const client = new Client(platform.endpoints.etcd!);
    const header = await check(client, acknowledged, leases);
    assert.ok(header >= lastRevision, `revision ${header} >= ${lastRevision}`);
    const before = acknowledged.size;
    leases.push((await client.call(etcdLease.LEASE.leaseGrant, { ttl: 3600 })).id);
    const writers = Array.from({ length: WRITERS }, async (_, writer) => {
      for (let n = 0; ; n++) {
        const key = `k/${life}/${writer}/${n}`;
        try {
          const put = await client.call(etcdKv.KV.put, { key, value: utf8(key), lease: leases.at(-1)! });
          acknowledged.set(key, put.header!.revision);
          lastRevision = Math.max(lastRevision, put.header!.revision);
        } catch {
          return; // the process is gone
        }
      }
    });
    await until("enough is acknowledged", 60_000, () => acknowledged.size >= before + ACKNOWLEDGED_A_LIFE);
    await platform.killPid();
    await Promise.all(writers);
    await client.close();
  }
  const platform = TestPlatform.launch(data, [], ["serve", "etcd"]);
  await platform.ready();
  const client = new Client(platform.endpoints.etcd!);
  await check(client, acknowledged, leases);
  await client.close();
  await platform.stop();
});

/** @returns the store's revision */
async function check(
  client: Client,
  acknowledged: ReadonlyMap<string, number>,
  leases: readonly bigint[],
): Promise<number> {
  const { kvs, header } = await client.call(etcdKv.KV.range, { key: "k/", rangeEnd: "k0" });
  const found = new Map(kvs.map(({ key, modRevision }) => [key, modRevision]));
  for (const [key, revision] of acknowledged) assert.equal(found.get(key), revision, key);
  assert.equal(new Set(kvs.map(({ modRevision }) => modRevision)).size, kvs.length, "a revision has one put");
  const { leases: alive } = await client.call(etcdLease.LEASE.leaseLeases, {});
  assert.deepEqual(new Set(alive.map(({ id }) => id)), new Set(leases));
  return header!.revision;
}
