import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeEach, describe, test } from "node:test";
import { never, type WireError } from "@millrace/base";
import type { Spool } from "@millrace/fragments";
import {
  labelSet,
  newFragment,
  newReplicateRequest,
  ZERO_SHA1,
  type Fragment,
  type LabelSet,
  type ReplicateResponse,
} from "@millrace/protocol";
import { FakeSpools } from "./fake-spools.ts";
import { ReplicaSpool } from "./replica-spool.ts";

const A = labelSet(["author", "a"]);
const JOURNAL = "a/replica";

let spools: FakeSpools;
let spool: Spool;
let stream: ReplicaSpool;
let answers: ReplicateResponse[];
let failures: WireError[];

beforeEach(async () => {
  spools = new FakeSpools();
  spools.isHeld = true;
  spool = await spools.claim({ journal: JOURNAL, createRevision: 1, epoch: 1 }, 0);
  stream = open();
});

function open(): ReplicaSpool {
  answers = [];
  failures = [];
  return new ReplicaSpool(spool, "NONE", {
    answer: (response) => answers.push(response),
    failed: (error) => failures.push(error),
  });
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
