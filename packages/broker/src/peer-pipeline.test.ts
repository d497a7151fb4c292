import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { MetricsRegistry, never, WireError } from "@millrace/base";
import {
  EMPTY_LABELS,
  newFragment,
  newReplicateRequest,
  newReplicateResponse,
  ZERO_SHA1,
  type Fragment,
  type ProcessId,
  type ReplicateRequest,
} from "@millrace/protocol";
import type { PeerAnswer } from "./append-states.ts";
import { brokerMetrics } from "./broker-metrics.ts";
import { FakeSpools } from "./fake-spools.ts";
import { PeerPipeline, type PeerListener, type PeerStream } from "./peer-pipeline.ts";
import { ReplicaSpool } from "./replica-spool.ts";

const OK = newReplicateResponse({ status: "OK" });
const ids: readonly ProcessId[] = ["one", "two"].map((suffix) => ({ zone: "z", suffix: `peer-${suffix}` }));

/** A peer by hand: what it was sent, and its mouth. */
class Puppet implements PeerStream {
  readonly sent: ReplicateRequest[] = [];
  readonly listener: PeerListener;
  isSlow = false;
  closed: "half" | "cancelled" | undefined;

  constructor(listener: PeerListener) {
    this.listener = listener;
  }

  send(request: ReplicateRequest): boolean {
    this.sent.push(request);
    return !this.isSlow;
  }

  halfClose(): void {
    this.closed = "half";
  }

  cancel(): void {
    this.closed = "cancelled";
  }
}

function open() {
  const puppets: Puppet[] = [];
  const pipeline = new PeerPipeline(ids, (_, listener) => {
    const puppet = new Puppet(listener);
    puppets.push(puppet);
    return puppet;
  });
  const outcomes: string[] = [];
  const ask = (name: string): void =>
    pipeline.ask(
      () => newReplicateRequest({ acknowledge: true, deprecatedJournal: name }),
      (_, failure) => outcomes.push(`${name}: ${failure?.message ?? "all"}`),
    );
  const [one, two] = puppets as [Puppet, Puppet];
  return { pipeline, one, two, ask, outcomes };
}

const turn = (): Promise<void> => new Promise((done) => setImmediate(done));

describe("answers", () => {
  test("an outcome when the last peer has answered, in order, however far ahead another one is", () => {
    const { one, two, ask, outcomes, pipeline } = open();
    for (const name of ["a", "b", "c"]) ask(name);
    for (let i = 0; i < 3; i++) one.listener.answered(OK);
    assert.deepEqual([outcomes, pipeline.pending], [[], 3]);
    two.listener.answered(OK);
    assert.deepEqual(outcomes, ["a: all"]);
    ask("d");
    for (let i = 0; i < 3; i++) two.listener.answered(OK);
    assert.deepEqual(outcomes, ["a: all", "b: all", "c: all"]);
    one.listener.answered(OK);
    assert.deepEqual([outcomes.length, pipeline.pending], [4, 0]);
  });

  test("what each peer said is handed over, whatever it is", () => {
    const { one, two, pipeline } = open();
    const given: PeerAnswer[] = [];
    pipeline.ask(
      () => newReplicateRequest({ acknowledge: true }),
      (answers) => given.push(...answers),
    );
    two.listener.answered({
      status: "PROPOSAL_MISMATCH",
      fragment: newFragment({ end: 7 }),
      registers: EMPTY_LABELS,
      synced: 0,
    });
    one.listener.answered(OK);
    assert.deepEqual(
      given.map(
        (answer) => answer.kind === "answered" && [answer.peer.suffix, answer.status, answer.fragment?.end],
      ),
      [
        ["peer-two", "PROPOSAL_MISMATCH", 7],
        ["peer-one", "OK", undefined],
      ],
    );
  });
});

describe("a broken peer", () => {
  const breaks: Record<string, (one: Puppet) => void> = {
    "its stream fails": (one) => one.listener.ended(new WireError("UNAVAILABLE", "connection lost")),
    "it ends early": (one) => one.listener.ended(undefined),
    "it answers what nobody asked": (one) => {
      for (let i = 0; i < 4; i++) one.listener.answered(OK);
    },
  };
  for (const [name, breakIt] of Object.entries(breaks)) {
    test(`${name} -> what waits and what comes fails, the others are cut off`, async () => {
      const { one, two, ask, outcomes, pipeline } = open();
      for (const which of ["a", "b"]) ask(which);
      breakIt(one);
      ask("c");
      two.listener.answered(OK);
      await turn();
      assert.equal(outcomes.length, 3);
      for (const outcome of outcomes) assert.match(outcome, /^[abc]: recv from zone:"z" suffix:"peer-one": /);
      assert.equal(two.closed, "cancelled");
      assert.match(pipeline.failure!.message, /peer-one/);
      const before = two.sent.length;
      pipeline.send(() => newReplicateRequest({}));
      assert.equal(two.sent.length, before);
    });
  }

  test("abandoned -> the same, with the reason given", async () => {
    const { one, two, ask, outcomes, pipeline } = open();
    ask("a");
    pipeline.abandon(new WireError("UNAVAILABLE", "another route"));
    pipeline.abandon(new WireError("UNAVAILABLE", "again"));
    await turn();
    assert.deepEqual(outcomes, ["a: another route"]);
    assert.deepEqual([one.closed, two.closed], ["cancelled", "cancelled"]);
  });
});

test("closed -> what is owed is still told; ends in peace once it is", () => {
  const { one, two, ask, outcomes, pipeline } = open();
  ask("a");
  pipeline.close();
  assert.deepEqual([one.closed, two.closed], ["half", "half"]);
  one.listener.answered(OK);
  one.listener.ended(undefined);
  two.listener.answered(OK);
  two.listener.ended(undefined);
  assert.deepEqual([outcomes, pipeline.failure], [["a: all"], undefined]);
});

test("a slow peer -> room when it has drained, or the failure", async () => {
  const { one, two, pipeline } = open();
  assert.equal(pipeline.room(), undefined);
  one.isSlow = two.isSlow = true;
  pipeline.send(() => newReplicateRequest({}));
  let isOpen = false;
  const room = pipeline.room()!.then(() => (isOpen = true));
  one.listener.drained();
  await turn();
  assert.equal(isOpen, false);
  two.listener.drained();
  await room;
  pipeline.send(() => newReplicateRequest({}));
  const refused = pipeline.room()!;
  one.listener.ended(undefined);
  await assert.rejects(refused, /unexpected EOF/);
  await assert.rejects(pipeline.room()!, /unexpected EOF/);
});

test("two real replicas: synchronise, append, take back -> equal bytes on both", async () => {
  const held = ids.map(() => new FakeSpools());
  const spools = await Promise.all(
    held.map((each) => each.claim({ journal: "j/one", createRevision: 1, epoch: 1 }, 0)),
  );
  const pipeline = new PeerPipeline(ids, (id, listener) => {
    const failed = (error: WireError): void => listener.ended(error);
    const hooks = { answer: (response: typeof OK) => listener.answered(response), failed };
    const counts = brokerMetrics(new MetricsRegistry());
    const stream = { codec: "NONE", takesCommits: false, counts } as const;
    const replica = new ReplicaSpool(spools[ids.indexOf(id)]!, stream, hooks);
    return {
      send: (request) => {
        void replica.receive(request, never);
        return true;
      },
      halfClose: () => replica.end(),
      cancel: () => replica.end(),
    };
  });
  let content = "";
  const fragment = (): Fragment => {
    const sum = content === "" ? ZERO_SHA1 : createHash("sha1").update(content).digest("hex");
    return newFragment({ journal: "j/one", begin: 0, end: content.length, sum, compressionCodec: "NONE" });
  };
  const propose = (): Promise<readonly string[]> =>
    new Promise((resolve, reject) => {
      pipeline.ask(
        () => newReplicateRequest({ proposal: fragment(), registers: EMPTY_LABELS, acknowledge: true }),
        (answers, failure) => {
          if (failure !== undefined) reject(failure);
          else resolve(answers.map((answer) => (answer.kind === "answered" ? answer.status : answer.reason)));
        },
      );
    });
  assert.deepEqual(await propose(), ["OK", "OK"]);
  for (const piece of ["first ", "second "]) {
    pipeline.send(() => newReplicateRequest({ content: Buffer.from(piece) }));
    content += piece;
    assert.deepEqual(await propose(), ["OK", "OK"]);
  }
  pipeline.send(() => newReplicateRequest({ content: Buffer.from("aborted by its client") }));
  assert.deepEqual(await propose(), ["OK", "OK"]);
  for (const spool of spools) {
    const [only] = spool.fragments();
    assert.equal(Buffer.from(await spool.read(0, only!.end, never)).toString(), "first second ");
  }
});
