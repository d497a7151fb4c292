// Watch streams of etcd clients: creation, history, cancellation, progress, fragments, and a peer that is slow.
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { text, utf8 } from "@millrace/base";
import { RpcError } from "@millrace/grpc";
import { KV, putRequest } from "./etcd-api/kv.ts";
import {
  WATCH,
  watchCreateRequest,
  type Event,
  type WatchCreateRequest,
  type WatchRequest,
  type WatchResponse,
} from "./etcd-api/watch.ts";
import { openStubServer, StubClient, type StubServer, type StubStream } from "./etcd-server-stub.ts";
import { prefixEnd } from "./key.ts";
import { STREAM_ANSWERS_MAX, STREAM_WATCHES_MAX } from "./limits.ts";
import { PROGRESS_MS } from "./watch-stream.ts";

type Stream = StubStream<WatchRequest, WatchResponse>;

class World {
  readonly server: StubServer;
  readonly client: StubClient;
  readonly stream: Stream;

  constructor(server: StubServer) {
    this.server = server;
    this.client = new StubClient(server.handlers);
    this.stream = this.client.stream(WATCH.watch);
  }

  async put(key: string, value = ""): Promise<number> {
    return (await this.client.call(KV.put, { key, value: utf8(value) })).header!.revision;
  }

  async puts(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.put(`k${i}`);
  }

  create(fields: Partial<WatchCreateRequest>, stream = this.stream): void {
    stream.send({ createRequest: { ...watchCreateRequest.zero, ...fields } });
  }

  /** The answers that came, each in short. */
  async seen(stream = this.stream): Promise<readonly string[]> {
    return (await stream.answers()).map(describe);
  }
}

async function world(): Promise<World> {
  return new World(await openStubServer());
}

function describe(answer: WatchResponse): string {
  const marks = [
    `${answer.watchId}`,
    ...(answer.created ? ["created"] : []),
    ...(answer.canceled ? ["canceled"] : []),
    ...(answer.compactRevision > 0 ? [`compacted ${answer.compactRevision}`] : []),
    ...(answer.cancelReason === "" ? [] : [answer.cancelReason]),
    ...answer.events.map(describeEvent),
    ...(answer.fragment ? ["…"] : []),
  ];
  return marks.join(" ");
}

function describeEvent({ type, kv, prevKv }: Event): string {
  const before = prevKv === undefined ? "" : `(${text(prevKv.value)})`;
  return type === "PUT" ? `${kv!.key}=${text(kv!.value)}${before}` : `${kv!.key}-${before}`;
}

const all = { key: "", rangeEnd: "\0" } as const;

test("watch: created, then what comes; many watches of one stream, each with its own keys", async () => {
  const w = await world();
  await w.put("a", "0");
  w.create({ key: "a" });
  w.create({ key: "b", rangeEnd: prefixEnd("b") });
  w.create({ ...all, watchId: 77 });
  deepEqual(await w.seen(), ["0 created", "1 created", "77 created"]);
  await w.put("a", "1");
  await w.put("b1", "1");
  deepEqual(await w.seen(), ["0 a=1", "77 a=1", "1 b1=1", "77 b1=1"]);
});

test("watch: from a past revision -> history first, in whole revisions", async () => {
  const w = await world();
  const first = await w.put("a", "1");
  await w.client.call(KV.txn, {
    success: [
      { requestPut: { ...putRequest.zero, key: "a", value: utf8("2") } },
      { requestPut: { ...putRequest.zero, key: "b", value: utf8("2") } },
    ],
  });
  await w.client.call(KV.deleteRange, { key: "a" });
  w.create({ ...all, startRevision: first, prevKv: true });
  deepEqual(await w.seen(), ["0 created", "0 a=1 a=2(1) b=2 a-(2)"]);
});

test("watch: a future revision -> nothing before it", async () => {
  const w = await world();
  const now = await w.put("a", "1");
  w.create({ ...all, startRevision: now + 2 });
  await w.put("a", "2");
  await w.put("a", "3");
  deepEqual(await w.seen(), ["0 created", "0 a=3"]);
});

test("watch: filters -> without puts, without deletions", async () => {
  const w = await world();
  w.create({ ...all, filters: ["NOPUT"] });
  w.create({ ...all, filters: ["NODELETE"] });
  await w.seen();
  await w.put("a", "1");
  await w.client.call(KV.deleteRange, { key: "a" });
  deepEqual(await w.seen(), ["1 a=1", "0 a-"]);
});

test("watch: refused creations -> answered with -1, the stream goes on", async () => {
  const w = await world();
  w.create({ key: "b", rangeEnd: "a" });
  w.create({ key: "a", startRevision: -1 });
  w.create({ key: "a", watchId: -1 });
  w.create({ key: "a", watchId: 5 });
  w.create({ key: "a", watchId: 5 });
  deepEqual(await w.seen(), [
    "-1 created canceled mvcc: watcher range is empty",
    "-1 created canceled etcdserver: mvcc: required revision has been compacted",
    "-1 created canceled watch ID -1 is not >= 0",
    "5 created",
    "-1 created canceled mvcc: duplicate watch ID provided on the WatchStream",
  ]);
});

test("watch: start below the compaction, or left behind by it -> canceled with its revision", async () => {
  const w = await world();
  const first = await w.put("a", "1");
  const second = await w.put("a", "2");
  await w.client.call(KV.compact, { revision: second });
  w.create({ key: "a", startRevision: first });
  w.create({ key: "a", startRevision: second });
  const reason = "etcdserver: mvcc: required revision has been compacted";
  deepEqual(await w.seen(), ["0 created", `0 canceled compacted ${second} ${reason}`, "1 created", "1 a=2"]);
  w.stream.call.hasRoom = false;
  await w.put("a", "3"); // the peer takes this one, and no more
  await w.put("a", "4");
  const last = await w.put("a", "5");
  await w.client.call(KV.compact, { revision: last });
  deepEqual(await w.seen(), ["1 a=3"]);
  w.stream.drain();
  deepEqual(await w.seen(), [`1 canceled compacted ${last} ${reason}`]);
});

test("watch: previous value that is compacted -> left out", async () => {
  const w = await world();
  await w.put("a", "1");
  const second = await w.put("a", "2");
  await w.client.call(KV.compact, { revision: second });
  w.create({ key: "a", startRevision: second, prevKv: true });
  deepEqual(await w.seen(), ["0 created", "0 a=2"]);
});

test("cancel: no more events; of an unknown watch -> nothing", async () => {
  const w = await world();
  w.create(all);
  w.stream.send({ cancelRequest: { watchId: 3 } });
  w.stream.send({ cancelRequest: { watchId: 0 } });
  deepEqual(await w.seen(), ["0 created", "0 canceled"]);
  await w.put("a", "1");
  deepEqual(await w.seen(), []);
  w.create(all);
  deepEqual(await w.seen(), ["1 created"]);
});

test("progress: asked for -> one answer for all, once they have seen everything", async () => {
  const w = await world();
  w.stream.send({ progressRequest: {} });
  deepEqual(await w.seen(), []);
  w.create({ key: "a" });
  w.create({ key: "b" });
  const revision = await w.put("c", "1");
  deepEqual(await w.seen(), ["0 created", "1 created"]);
  w.stream.send({ progressRequest: {} });
  const [answer, ...more] = await w.stream.answers();
  deepEqual([answer!.watchId, answer!.header!.revision, more.length], [-1, revision, 0]);
});

test("progress: notified after a while, and before what a quiet watch needs is compacted", async () => {
  const w = await world();
  w.create({ key: "quiet", progressNotify: true });
  w.create({ key: "quiet" });
  await w.seen();
  await w.server.agenda.advance(PROGRESS_MS - 1000);
  deepEqual(await w.seen(), []);
  await w.server.agenda.advance(1100);
  deepEqual(await w.seen(), ["0"]);
  await w.puts(1000);
  const [answer, ...more] = await w.stream.answers();
  deepEqual([answer!.watchId, more.length], [0, 0]);
  equal(answer!.header!.revision, w.server.store.header.revision);
});

test("fragments: a revision that is too large -> marked parts in a row; not asked for -> whole", async () => {
  const w = await world();
  w.create({ ...all, fragment: true });
  w.create(all);
  await w.seen();
  const value = new Uint8Array(480 * 1024).fill(0x61);
  const put = (key: string) => ({ requestPut: { ...putRequest.zero, key, value } });
  await w.client.call(KV.txn, { success: [put("a"), put("b"), put("c")] });
  const answers = await w.stream.answers();
  deepEqual(
    answers.map(({ watchId, events, fragment }) => [watchId, events.length, fragment]),
    [
      [0, 2, true],
      [0, 1, false],
      [1, 3, false],
    ],
  );
  ok(answers.every(({ header }) => header!.revision === answers[0]!.header!.revision));
});

test("slow peer: nothing is made that it does not take, and nothing is lost", async () => {
  const w = await world();
  w.create(all);
  w.create(all);
  await w.seen();
  w.stream.call.hasRoom = false;
  for (let i = 0; i < 50; i++) await w.put("a", `${i}`);
  equal((await w.stream.answers()).length, 1);
  w.stream.drain();
  const events = (await w.stream.answers()).flatMap(({ watchId, events }) => (watchId === 1 ? events : []));
  deepEqual(
    events.map(describeEvent),
    Array.from({ length: 50 }, (_, i) => `a=${i}`),
  );
});

test("requests beyond what the peer takes answers for -> it is not read any more", async () => {
  const w = await world();
  w.stream.call.hasRoom = false;
  for (let i = 0; i < STREAM_ANSWERS_MAX + 1; i++) w.create({ key: "a" });
  equal(w.stream.call.isPaused, true);
  w.stream.drain();
  await w.seen();
  await w.server.agenda.advance(10); // it goes on in further turns
  equal(w.stream.call.isPaused, false);
});

test("too many watches of one stream -> refused", async () => {
  const w = await world();
  for (let i = 0; i < STREAM_WATCHES_MAX; i++) w.create({ key: "a" });
  await w.server.agenda.advance(10_000);
  await w.seen();
  w.create({ key: "a" });
  const [answer] = await w.seen();
  ok(answer!.startsWith("-1 created canceled etcdserver: too many requests"), answer);
});

test("watches are counted, until their stream is over", async () => {
  const w = await world();
  const watches = w.server.metrics.gauge("millrace_etcd_watches", "");
  const other = w.client.stream(WATCH.watch);
  w.create({ key: "a" });
  w.create({ key: "a" }, other);
  await w.seen();
  equal(watches.value(), 2);
  other.cancel(new RpcError("CANCELLED", "gone"));
  equal(watches.value(), 1);
  w.stream.sendBytes(Uint8Array.of(0xff));
  equal(w.stream.call.status?.code, "INVALID_ARGUMENT");
  equal(watches.value(), 0);
});

test("half closed -> goes on; the store closes -> ends as etcd's server does", async () => {
  const w = await world();
  w.create(all);
  w.stream.halfClose();
  await w.put("a", "1");
  deepEqual(await w.seen(), ["0 created", "0 a=1"]);
  await w.server.store.close();
  await w.seen();
  deepEqual(w.stream.call.status, { code: "UNAVAILABLE", message: "etcdserver: server stopped" });
});
