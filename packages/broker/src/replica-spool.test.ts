import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeEach, describe, test } from "node:test";
import { MetricsRegistry, never, type WireError } from "@millrace/base";
import type { Spool } from "@millrace/fragments";
import {
  labelSet,
  newFragment,
  newReplicateRequest,
  ZERO_SHA1,
  type Fragment,
  type LabelSet,
  type ReplicateRequest,
  type ReplicateResponse,
} from "@millrace/protocol";
import { crc32c } from "@millrace/wal";
import { brokerMetrics, type SpoolCounts } from "./broker-metrics.ts";
import { FakeSpools } from "./fake-spools.ts";
import { ReplicaSpool } from "./replica-spool.ts";

const A = labelSet(["author", "a"]);
const JOURNAL = "a/replica";

let spools: FakeSpools;
let spool: Spool;
let stream: ReplicaSpool;
let counts: SpoolCounts;
let answers: ReplicateResponse[];
let failures: WireError[];

beforeEach(async () => {
  spools = new FakeSpools();
  spools.isHeld = true;
  spool = await spools.claim({ journal: JOURNAL, createRevision: 1, epoch: 1 }, 0);
  counts = brokerMetrics(new MetricsRegistry());
  stream = open();
});

function open(takesCommits = false): ReplicaSpool {
  answers = [];
  failures = [];
  return new ReplicaSpool(
    spool,
    { codec: "NONE", takesCommits, counts },
    {
      answer: (response) => answers.push(response),
      failed: (error) => failures.push(error),
    },
  );
}

function fragment(begin: number, content: string): Fragment {
  const sum = content === "" ? ZERO_SHA1 : createHash("sha1").update(content).digest("hex");
  return newFragment({ journal: JOURNAL, begin, end: begin + content.length, sum, compressionCodec: "NONE" });
}

function content(text: string, contentDelta = 0): void {
  assert.equal(
    stream.receive(newReplicateRequest({ content: Buffer.from(text), contentDelta }), never),
    undefined,
  );
}

function propose(proposal: Fragment, registers: LabelSet = A, acknowledge = true): void {
  void stream.receive(newReplicateRequest({ proposal, registers, acknowledge }), never);
}

/** Commits and their bytes, what was rolled back and its bytes. */
const counted = (): number[] => {
  const { commits, commitBytes, rollbacks, rollbackBytes } = counts;
  return [commits, commitBytes, rollbacks, rollbackBytes].map((counter) => counter.value());
};

const statuses = (): string[] => answers.map(({ status }) => status);

async function text(): Promise<string> {
  const parts: Uint8Array[] = [];
  for (const { begin, end } of spool.fragments()) parts.push(await spool.read(begin, end - begin, never));
  return Buffer.concat(parts).toString();
}

describe("a replica's stream", () => {
  test("content in pieces, then its proposal -> OK once it is synced; the next one continues the sum", async () => {
    propose(fragment(0, ""));
    content("one ");
    content("two", 4);
    propose(fragment(0, "one two"));
    assert.deepEqual(statuses(), []);
    spools.flush();
    assert.deepEqual(statuses(), ["PROPOSAL_MISMATCH", "OK"]);
    content("!");
    propose(fragment(0, "one two!"), labelSet(["author", "b"]));
    spools.flush();
    assert.equal(statuses().at(-1), "OK");
    assert.equal(await text(), "one two!");
    assert.deepEqual(spool.registers, labelSet(["author", "b"]));
  });

  test("the proposal of what it has -> content is taken back, OK in its turn", async () => {
    content("kept");
    propose(fragment(0, "kept"), A, false);
    content("not kept");
    propose(fragment(0, "kept"));
    spools.flush();
    assert.deepEqual(statuses(), ["OK"]);
    assert.equal(await text(), "kept");
  });

  test("a stream over bytes of an earlier one -> it begins at their end, with an empty fragment", () => {
    content("earlier");
    propose(fragment(0, "earlier"));
    spools.flush();
    stream.end();
    stream = open();
    propose(fragment(0, "earlier"));
    spools.flush();
    const [answer] = answers;
    assert.equal(answer!.status, "PROPOSAL_MISMATCH");
    assert.deepEqual([answer!.fragment!.begin, answer!.fragment!.end], [7, 7]);
    propose(fragment(7, ""));
    spools.flush();
    assert.deepEqual(statuses(), ["PROPOSAL_MISMATCH", "OK"]);
  });

  test("it joins late -> rolls ahead with the registers, says so, and is in sync with the next proposal", () => {
    const has = { ...fragment(4000, ""), end: 5000, sum: "1".repeat(40) };
    propose(has);
    propose({ ...fragment(5000, "") });
    spools.flush();
    assert.deepEqual(statuses(), ["PROPOSAL_MISMATCH", "OK"]);
    assert.deepEqual([answers[0]!.fragment!.end, answers[0]!.registers], [5000, A]);
    assert.deepEqual([spool.pendingEnd, spool.pendingRegisters], [5000, A]);
  });

  test("a roll -> behind its end it is refused with what it has, ahead of it it is taken", () => {
    content("abc");
    propose(fragment(0, "abc"));
    propose(fragment(1, ""));
    spools.flush();
    assert.deepEqual(statuses(), ["OK", "PROPOSAL_MISMATCH"]);
    assert.deepEqual([answers[1]!.fragment!.end, spool.pendingEnd], [3, 3]);
    propose(fragment(9, ""));
    spools.flush();
    assert.equal(spool.pendingEnd, 9);
  });

  test("another sum -> mismatch with what it has; without an answer asked for -> the stream is over", () => {
    content("these");
    propose(fragment(0, "those"));
    spools.flush();
    assert.equal(answers[0]!.status, "PROPOSAL_MISMATCH");
    content("these");
    assert.throws(() => propose(fragment(0, "those"), A, false), /no ack requested but status != OK/);
  });

  test("content at another place -> the text of the specification", () => {
    content("abc");
    assert.throws(() => content("d", 2), /invalid ContentDelta \(2; expected 3\)$/);
  });

  test("what was sent and not proposed -> gone with the stream, and nothing is answered any more", () => {
    content("committed");
    propose(fragment(0, "committed"));
    content("half");
    stream.end();
    spools.flush();
    assert.deepEqual([spool.pendingEnd, answers.length], [9, 0]);
    spool.openAppend().rollback(); // the spool is free
  });

  test("messages that are none -> refused, nothing happens to the spool", () => {
    const bad = [
      newReplicateRequest({}),
      newReplicateRequest({ content: Buffer.from("x"), acknowledge: true }),
      newReplicateRequest({ content: Buffer.from("x"), contentDelta: -1 }),
      newReplicateRequest({ proposal: { ...fragment(0, ""), end: -5 }, acknowledge: true }),
      newReplicateRequest({ proposal: fragment(0, "x"), content: Buffer.from("x") }),
    ];
    for (const request of bad) assert.throws(() => stream.receive(request, never));
    assert.equal(spool.pendingEnd, 0);
  });

  test("a full disk -> the write rejects, and the stream ends without bytes", async () => {
    spools.isFull = true;
    const writing = stream.receive(newReplicateRequest({ content: Buffer.from("x") }), never);
    await assert.rejects(Promise.resolve(writing), { code: "DISK_FULL" });
    stream.end();
    assert.deepEqual([spool.pendingEnd, failures.length], [0, 0]);
  });
});

describe("what a replica counts", () => {
  test("a commit, once it is synced; content that is taken back, in whatever way -> each with its bytes", () => {
    content("one");
    propose(fragment(0, "one"));
    assert.deepEqual(counted(), [0, 0, 0, 0]);
    spools.flush();
    assert.deepEqual(counted(), [1, 3, 0, 0]);
    content("taken back");
    propose(fragment(0, "one"));
    spools.flush();
    content("cut off");
    stream.end();
    assert.deepEqual(counted(), [1, 3, 2, 17]);
  });

  test("a proposal of several appends -> as many as its primary says, at most one for each byte", () => {
    const several = (begin: number, text: string, appends: number): void => {
      content(text);
      const proposal = fragment(0, "abcdef".slice(0, begin + text.length));
      void stream.receive(newReplicateRequest({ proposal, registers: A, acknowledge: true, appends }), never);
      spools.flush();
    };
    several(0, "abcd", 3);
    assert.deepEqual(counted(), [3, 4, 0, 0]);
    several(4, "ef", 1000);
    assert.deepEqual(counted(), [5, 6, 0, 0]);
    const negative = newReplicateRequest({ proposal: fragment(0, "abcdef"), acknowledge: true, appends: -1 });
    assert.throws(() => stream.receive(negative, never), /invalid Appends \(-1; expected >= 0\)/);
  });

  test("proposals without content -> nothing", () => {
    propose(fragment(0, ""));
    propose(fragment(7, ""));
    spools.flush();
    assert.deepEqual(counted(), [0, 0, 0, 0]);
  });
});

describe("commits of a primary that keeps lists", () => {
  const commit = (fields: Partial<ReplicateRequest>): void | Promise<void> =>
    stream.receive(newReplicateRequest({ acknowledge: true, epoch: 7, stream: 1, ...fields }), never);
  const bytes = Buffer.from("hello");

  beforeEach(() => {
    spool.roll(0, A);
    stream = open(true);
  });

  test("content with its end and checksum -> written, and answered when it is synced", () => {
    void commit({ content: bytes, commit: 5, checksum: crc32c(bytes) });
    assert.deepEqual(statuses(), []);
    spools.flush();
    assert.deepEqual(statuses(), ["OK"]);
    assert.equal(spool.pendingEnd, 5);
    void commit({ commit: 5 });
    spools.flush();
    assert.deepEqual(statuses(), ["OK", "OK"]);
  });

  test("content in pieces, taken back, and again -> only what was committed stays", () => {
    void stream.receive(newReplicateRequest({ content: bytes, epoch: 7, stream: 1 }), never);
    void stream.receive(newReplicateRequest({ rollback: true, epoch: 7, stream: 1 }), never);
    void stream.receive(newReplicateRequest({ content: bytes, epoch: 7, stream: 1 }), never);
    const registers = labelSet(["author", "b"]);
    void commit({
      content: bytes,
      contentDelta: 5,
      commit: 10,
      checksum: crc32c(bytes, crc32c(bytes)),
      registers,
    });
    spools.flush();
    assert.deepEqual(statuses(), ["OK"]);
    assert.equal(spool.pendingEnd, 10);
    assert.deepEqual(spool.pendingRegisters, registers);
  });

  const wrong: readonly [string, Partial<ReplicateRequest>][] = [
    ["another end", { content: bytes, commit: 6, checksum: crc32c(bytes) }],
    ["another checksum", { content: bytes, commit: 5, checksum: crc32c(bytes) + 1 }],
    ["no content", { commit: 5 }],
    ["other registers and no content", { commit: 0, registers: labelSet(["author", "b"]) }],
    ["a roll-back with it", { content: bytes, commit: 5, checksum: crc32c(bytes), rollback: true }],
    ["content from somewhere else", { content: bytes, contentDelta: 1, commit: 6, checksum: crc32c(bytes) }],
  ];
  for (const [what, fields] of wrong) {
    test(`${what} -> the stream is broken, and nothing is committed`, () => {
      assert.throws(() => commit(fields), { code: "INVALID_ARGUMENT" });
      stream.end();
      assert.equal(spool.pendingEnd, 0);
    });
  }

  test("Gazette's proposal of content -> a mismatch: there are no sums", () => {
    void stream.receive(newReplicateRequest({ content: bytes, epoch: 7, stream: 1 }), never);
    propose(fragment(0, "hello"));
    spools.flush();
    assert.deepEqual(statuses(), ["PROPOSAL_MISMATCH"]);
  });
});

describe("a commit on the stream of a primary that keeps no lists", () => {
  const content = Buffer.from("x");

  test("without an epoch -> refused as Gazette refuses it", () => {
    const request = newReplicateRequest({ content, acknowledge: true, commit: 1 });
    assert.throws(() => stream.receive(request, never), /unexpected Acknowledge with Content/);
  });

  for (const [what, fields] of [
    ["with content", { content, commit: 1, checksum: crc32c(content) }],
    ["with nothing", {}],
  ] as const) {
    test(`with an epoch, ${what} -> refused, and nothing is owed or written`, () => {
      const request = newReplicateRequest({ acknowledge: true, epoch: 7, stream: 1, ...fields });
      assert.throws(() => stream.receive(request, never), { code: "INVALID_ARGUMENT" });
      stream.end();
      spools.flush();
      assert.deepEqual([answers.length, spool.pendingEnd], [0, 0]);
    });
  }
});

describe("a replica's stream whose commits are answered early", () => {
  let told: string[];
  const early = (): void => {
    stream.end();
    told = [];
    answers = [];
    stream = new ReplicaSpool(
      spool,
      { codec: "NONE", takesCommits: false, counts },
      { answer: ({ status }) => told.push(status), failed: (error) => told.push(error.code) },
      { synced: (end) => told.push(`synced ${end}`), lost: () => told.push("lost") },
    );
    propose(fragment(0, ""), A);
    spools.flush();
    told = [];
  };

  test("commits -> answered at once; told again when they are synced", () => {
    early();
    content("one ");
    propose(fragment(0, "one "));
    content("two");
    propose(fragment(0, "one two"));
    assert.deepEqual(told, ["OK", "OK"]);
    assert.deepEqual(counted(), [0, 0, 0, 0]);
    spools.flush();
    assert.deepEqual(told, ["OK", "OK", "synced 4", "synced 7"]);
    assert.deepEqual(counted(), [2, 7, 0, 0]);
  });

  test("an answer is owed that waits for a sync -> those behind it wait, too", () => {
    early();
    content("one ");
    propose(fragment(0, "one "));
    propose(fragment(0, "one "));
    content("two");
    propose(fragment(0, "one two"));
    content("!");
    propose(fragment(0, "one two!"));
    assert.deepEqual(told, ["OK"]);
    spools.flush();
    assert.deepEqual(told, ["OK", "synced 4", "OK", "OK", "synced 7", "OK", "synced 8"]);
    content("?");
    propose(fragment(0, "one two!?"));
    assert.equal(told.at(-1), "OK");
  });

  test("the stream has ended -> what is synced afterwards is told to nobody", () => {
    early();
    content("one ");
    propose(fragment(0, "one "));
    stream.end();
    spools.flush();
    assert.deepEqual(told, ["OK"]);
    assert.equal(spool.syncedEnd, 4);
  });
});
