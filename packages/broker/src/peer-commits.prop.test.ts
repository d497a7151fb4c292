// Appends of any shape through PeerCommits to two replicas with spools of their own: everybody ends with the same bytes
// and registers, outcomes come once and in order, and busy peers are asked less often than there are appends.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { concatBytes, equalBytes, MetricsRegistry, never, WireError } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import type { Spool } from "@millrace/fragments";
import {
  equalLabelSets,
  JOURNAL_SERVICE,
  labelSet,
  newReplicateResponse,
  type LabelSet,
  type ReplicateRequest,
} from "@millrace/protocol";
import { brokerMetrics } from "./broker-metrics.ts";
import { FakeSpools } from "./fake-spools.ts";
import { CONFIRM_BUSY_MS, CONFIRM_LINGER_MS, PEER_CONTENT_BYTES, PROPOSALS_ASKED_MAX } from "./limits.ts";
import { ConfirmTimers, PeerCommits } from "./peer-commits.ts";
import { PeerPipeline, type PeerListener } from "./peer-pipeline.ts";
import { ReplicaSpool, type ReplicaSpoolHooks } from "./replica-spool.ts";

const seconds = { observe: () => undefined };
const JOURNAL = "a/journal";
const PEERS = ["one", "two"].map((suffix) => ({ zone: "z", suffix }));

interface Step {
  readonly parts: readonly number[];
  readonly ending: "commit" | "roll-back";
  readonly register: number;
  readonly rolls: boolean;
  /** Peers answer before the next step. */
  readonly settles: boolean;
}

const size = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 300 }) },
  { weight: 1, arbitrary: fc.integer({ min: PEER_CONTENT_BYTES - 2, max: PEER_CONTENT_BYTES + 9 }) },
);
const step: fc.Arbitrary<Step> = fc.record({
  parts: fc.array(size, { maxLength: 3 }),
  ending: fc.constantFrom("commit", "commit", "commit", "roll-back"),
  register: fc.integer({ min: 0, max: 2 }),
  rolls: fc.boolean(),
  settles: fc.boolean(),
});

class Replica {
  readonly requests: ReplicateRequest[] = [];
  readonly counts = brokerMetrics(new MetricsRegistry());
  readonly spool: Spool;
  readonly #stream: ReplicaSpool;
  readonly #inbox: Uint8Array[] = [];

  constructor(spool: Spool, takesCommits: boolean, listener: () => PeerListener) {
    this.spool = spool;
    const hooks: ReplicaSpoolHooks = {
      answer: (response) => listener().answered(response),
      failed: (error) => assert.fail(error),
    };
    this.#stream = new ReplicaSpool(spool, { codec: "NONE", takesCommits, counts: this.counts }, hooks);
  }

  send(request: ReplicateRequest): void {
    this.#inbox.push(JOURNAL_SERVICE.replicate.encodeRequest(request));
    queueMicrotask(() => {
      const received = JOURNAL_SERVICE.replicate.decodeRequest(this.#inbox.shift()!);
      this.requests.push(received);
      const { proposal, content, acknowledge, rollback } = received;
      if (proposal !== undefined || content !== undefined || acknowledge || rollback)
        void this.#stream.receive(received, never);
    });
  }
}

class World {
  readonly agenda = new Agenda();
  readonly clock = new SimulatedClock(this.agenda);
  readonly replicas: Replica[] = [];
  readonly told: string[] = [];
  readonly pipeline: PeerPipeline;
  readonly commits: PeerCommits;
  content: Uint8Array[] = [];
  registers: LabelSet = labelSet(["author", "0"]);
  end = 0;
  /** Committed ones with bytes. */
  appends = 0;
  #begin = 0;
  #fill = 0;

  /** @param isMixed "two" keeps no lists */
  static async open(isMixed: boolean): Promise<World> {
    const spools = await Promise.all(
      PEERS.map(() => new FakeSpools().claim({ journal: JOURNAL, createRevision: 1, epoch: 1 }, 0)),
    );
    return new World(spools, isMixed);
  }

  private constructor(spools: readonly Spool[], isMixed: boolean) {
    this.pipeline = new PeerPipeline(PEERS, (id, listener) => {
      const at = PEERS.indexOf(id);
      spools[at]!.roll(0, this.registers);
      const replica = new Replica(spools[at]!, !isMixed, () => listener);
      this.replicas.push(replica);
      return {
        send: (request) => {
          replica.send(request);
          return true;
        },
        halfClose: () => undefined,
        cancel: () => undefined,
      };
    });
    const attempt = isMixed ? { epoch: 0, stream: 0 } : { epoch: 7, stream: 3 };
    const { clock, pipeline } = this;
    const ports = { pipeline, clock, confirming: new ConfirmTimers(clock), ...attempt };
    this.commits = new PeerCommits(
      { ...ports, keepsLists: (peer) => !isMixed || peer.suffix === "one", seconds },
      { journal: JOURNAL, begin: 0, codec: "NONE", registers: this.registers },
    );
  }

  append({ parts, ending, register, rolls }: Step, name: string): void {
    if (rolls) {
      this.#begin = this.end;
      this.commits.rolled(this.#begin, "NONE", this.registers);
    }
    const bytes = parts.map((length) => new Uint8Array(length).fill(++this.#fill));
    for (const part of bytes) void this.commits.content(part);
    if (ending === "roll-back") {
      this.commits.rollback();
      return;
    }
    this.content.push(...bytes);
    for (const { length } of bytes) this.end += length;
    if (bytes.length > 0) this.appends++;
    if (bytes.length > 0) this.registers = labelSet(["author", String(register)]);
    const { end } = this;
    this.commits.commit(this.registers, (failure) => {
      assert.equal(failure, undefined);
      this.told.push(name);
      this.commits.confirm(end);
    });
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 200; i++) await Promise.resolve();
  }
}

async function contentOf(spool: Spool): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (const { begin, end } of spool.fragments()) parts.push(await spool.read(begin, end - begin, never));
  return concatBytes(parts);
}

test("commits to peers: any appends -> the same bytes and registers on all, outcomes once and in order", async () => {
  const property = fc.asyncProperty(
    fc.boolean(),
    fc.array(step, { maxLength: 12 }),
    async (isMixed, steps) => {
      const world = await World.open(isMixed);
      const names: string[] = [];
      for (const [i, each] of steps.entries()) {
        if (each.ending === "commit") names.push(String(i));
        world.append(each, String(i));
        if (each.settles) await world.settle();
      }
      await world.settle();
      assert.deepEqual(world.told, names);
      const wanted = concatBytes(world.content);
      for (const { spool, counts } of world.replicas) {
        assert.ok(equalBytes(await contentOf(spool), wanted));
        assert.ok(equalLabelSets(spool.registers, world.registers));
        assert.deepEqual([counts.commits.value(), counts.commitBytes.value()], [world.appends, world.end]);
      }
      await world.agenda.advance(CONFIRM_BUSY_MS);
      await world.settle();
      const confirmed = (replica: Replica): number =>
        replica.requests.reduce((most, request) => Math.max(most, request.confirmed), 0);
      assert.equal(confirmed(world.replicas[0]!), world.end);
      const isAlone = (request: ReplicateRequest): boolean =>
        request.proposal === undefined && request.content === undefined && !request.acknowledge;
      if (isMixed) assert.ok(!world.replicas[1]!.requests.some(isAlone));
      world.commits.dispose();
    },
  );
  await fc.assert(property, { numRuns: 300 });
});

test("commits to peers: what comes while they are busy shares a proposal", async () => {
  const world = await World.open(false);
  const one: Step = { parts: [10], ending: "commit", register: 0, rolls: false, settles: false };
  for (let i = 0; i < PROPOSALS_ASKED_MAX; i++) {
    world.append(one, `early ${i}`);
    await Promise.resolve();
  }
  for (let i = 0; i < 50; i++) world.append(one, `later ${i}`);
  await world.settle();
  assert.equal(world.told.length, PROPOSALS_ASKED_MAX + 50);
  const proposals = world.replicas[0]!.requests.filter(({ acknowledge }) => acknowledge);
  assert.ok(proposals.length <= PROPOSALS_ASKED_MAX + 2, `${proposals.length} proposals`);
  assert.equal(world.replicas[0]!.counts.commits.value(), PROPOSALS_ASKED_MAX + 50);
});

test("commits to peers: an append that changes registers is the last of its proposal", async () => {
  const world = await World.open(false);
  const one: Step = { parts: [10], ending: "commit", register: 0, rolls: false, settles: false };
  for (let i = 0; i < PROPOSALS_ASKED_MAX; i++) {
    world.append(one, `early ${i}`);
    await Promise.resolve();
  }
  for (const [i, register] of [0, 1, 1, 2, 0, 0].entries()) world.append({ ...one, register }, `later ${i}`);
  await world.settle();
  const proposals = world.replicas[0]!.requests.filter(({ acknowledge }) => acknowledge);
  const ends = proposals.map(({ commit }) => commit);
  const early = PROPOSALS_ASKED_MAX * 10;
  assert.deepEqual(
    ends.slice(-4),
    [20, 40, 50, 60].map((end) => early + end),
  );
});

test("commits to peers: an answer that is not OK -> all that wait fail, and so does what comes", async () => {
  const failures: (string | undefined)[] = [];
  let listener: PeerListener | undefined;
  const pipeline = new PeerPipeline([PEERS[0]!], (_, heard) => {
    listener = heard;
    return { send: () => true, halfClose: () => undefined, cancel: () => undefined };
  });
  const clock = new SimulatedClock(new Agenda());
  const commits = new PeerCommits(
    {
      pipeline,
      clock,
      confirming: new ConfirmTimers(clock),
      epoch: 1,
      stream: 1,
      keepsLists: () => true,
      seconds,
    },
    { journal: JOURNAL, begin: 0, codec: "NONE", registers: labelSet() },
  );
  const commit = (): void => {
    void commits.content(Buffer.from("x"));
    commits.commit(labelSet(), (failure) => failures.push(failure?.message));
  };
  commit();
  await Promise.resolve();
  commit();
  await Promise.resolve();
  commit();
  listener!.answered(newReplicateResponse({ status: "WRONG_ROUTE" }));
  const text = 'recv from zone:"z" suffix:"one": unexpected !OK response: WRONG_ROUTE';
  assert.equal(pipeline.failure instanceof WireError, true);
  commit();
  for (let i = 0; i < 10; i++) await Promise.resolve();
  assert.deepEqual(failures, [text, text, text, text]);
});

test("commits to peers: at rest they are told soon what is confirmed, else the next append tells it", async () => {
  const world = await World.open(false);
  const one: Step = { parts: [10], ending: "commit", register: 0, rolls: false, settles: false };
  const lone = (): number[] => {
    const { requests } = world.replicas[0]!;
    return requests
      .filter(({ commit, content }) => commit === 0 && content === undefined)
      .map(({ confirmed }) => confirmed);
  };
  world.append(one, "first");
  await world.settle();
  await world.agenda.advance(CONFIRM_LINGER_MS);
  await world.settle();
  assert.deepEqual(lone(), [10]);
  for (let i = 0; i < 100; i++) {
    world.append(one, `one of many ${i}`);
    await world.settle();
    await world.agenda.advance(1);
  }
  const told = lone().length;
  assert.ok(told <= 3, `${told} requests that only say what is confirmed`);
  await world.agenda.advance(CONFIRM_BUSY_MS + CONFIRM_LINGER_MS);
  await world.settle();
  assert.equal(lone().at(-1), 1010);
});
