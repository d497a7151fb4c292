// A Replicate stream at its replica: how it begins, and how it ends.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MetricsRegistry, utf8, WireError } from "@millrace/base";
import { settle } from "@millrace/base/testkit";
import { newFragment, newReplicateRequest, ZERO_SHA1, type Fragment, type Header } from "@millrace/protocol";
import { brokerMetrics } from "./broker-metrics.ts";
import { FakeSpools } from "./fake-spools.ts";
import type { JournalHolder } from "./journal-holder.ts";
import type { LocalJournal } from "./local-journal.ts";
import type { PeerStream } from "./peer-pipeline.ts";
import { ReplicateStream, type StreamResolution } from "./replicate-stream.ts";
import type { SpoolUser } from "./spool-token.ts";

const J = "a/journal";
const member = { zone: "a", suffix: "broker" };
const HEADER: Header = {
  processId: member,
  route: { members: [member], primary: 0, endpoints: ["http://broker:1"] },
  etcd: { clusterId: 1n, memberId: 1n, revision: 9, raftTerm: 1n },
};
const EMPTY: Fragment = newFragment({ journal: J, sum: ZERO_SHA1, compressionCodec: "NONE" });

async function open(route: { readonly isConfirming?: boolean; readonly isMixed?: boolean } = {}): Promise<{
  stream: PeerStream;
  user: () => SpoolUser;
  spools: FakeSpools;
  log: string[];
}> {
  const spools = new FakeSpools();
  spools.isHeld = true;
  const spool = await spools.claim({ journal: J, createRevision: 1, epoch: 1 }, 0);
  const log: string[] = [];
  let user: SpoolUser | undefined;
  const holder = {
    answerAppend: () => "take",
    goOn: () => Promise.resolve(void log.push("goes on")),
    takeSpool: (taker: SpoolUser) => {
      user = taker;
      return Promise.resolve({ release: () => log.push("released") });
    },
  } as unknown as JournalHolder;
  const local = { spool, spec: { fragment: { compressionCodec: "NONE" } } } as unknown as LocalJournal;
  const found: StreamResolution = {
    kind: "local",
    local,
    holder,
    header: HEADER,
    isConfirming: true,
    isMixed: false,
    ...route,
  };
  const stream = new ReplicateStream(
    {
      resolve: () => Promise.resolve(found),
      markVoid: () => Promise.resolve(void log.push("marked void")),
      headerOf: () => HEADER,
      opened: () => undefined,
      counts: brokerMetrics(new MetricsRegistry()),
      over: () => undefined,
    },
    {
      answered: ({ status, header }) => log.push(`${status}${header === undefined ? "" : " with header"}`),
      drained: () => log.push("drained"),
      ended: (failure?: WireError) =>
        log.push(failure === undefined ? "ended" : `failed: ${failure.message}`),
    },
  );
  const proposal = { proposal: EMPTY, acknowledge: true, epoch: 9, stream: 1 };
  stream.send(newReplicateRequest({ ...proposal, header: HEADER }));
  for (let i = 0; i < 5; i++) await settle();
  spools.flush();
  return { stream, user: () => user!, spools, log };
}

test("replicate stream: closed by its primary -> the spool is free, what is owed is answered", async () => {
  const { stream, spools, log } = await open();
  stream.send(newReplicateRequest({ content: utf8("half") }));
  stream.send(newReplicateRequest({ proposal: EMPTY, acknowledge: true }));
  stream.halfClose();
  assert.deepEqual(log, ["OK with header", "released"]);
  spools.flush();
  assert.deepEqual(log, ["OK with header", "released", "OK", "ended"]);
});

test("replicate stream: cut in the middle of content -> taken back, the spool is free, nobody is told", async () => {
  const { stream, spools, log } = await open();
  stream.send(newReplicateRequest({ content: utf8("half") }));
  stream.cancel();
  stream.send(newReplicateRequest({ content: utf8("late"), contentDelta: 4 }));
  assert.deepEqual(log, ["OK with header", "released"]);
  const spool = spools.spools.get(J)!;
  spool.openAppend().rollback();
  assert.equal(spool.pendingEnd, 0);
});

test("replicate stream: another primary takes over -> what is owed is answered, then WRONG_ROUTE", async () => {
  const { stream, user, spools, log } = await open();
  stream.send(newReplicateRequest({ proposal: EMPTY, acknowledge: true }));
  stream.send(newReplicateRequest({ content: utf8("half") }));
  user().evict(new WireError("UNAVAILABLE", "changed hands"));
  stream.send(newReplicateRequest({ content: utf8("late"), contentDelta: 4 }));
  assert.deepEqual(log, ["OK with header", "released"]);
  spools.flush();
  assert.deepEqual(log.slice(2), ["OK", "WRONG_ROUTE with header", "ended"]);
});

test("replicate stream: content at another place -> it fails, and the spool is free", async () => {
  const { stream, log } = await open();
  stream.send(newReplicateRequest({ content: utf8("half"), contentDelta: 7 }));
  assert.deepEqual(log.slice(1), ["released", "failed: invalid ContentDelta (7; expected 0)"]);
});

test("replicate stream: a primary without lists -> the list is void before leftovers are judged", async () => {
  const { log } = await open({ isConfirming: false, isMixed: true });
  assert.deepEqual(log, ["marked void", "goes on", "OK with header"]);
});
