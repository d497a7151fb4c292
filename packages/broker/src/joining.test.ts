// A broker that joined a journal, the others and the list of holders as a test has them (D14).
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { suite, test } from "node:test";
import { never, silentLogger, text, utf8, WireError } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { FragmentIndex, type Spool } from "@millrace/fragments";
import { newFragment } from "@millrace/protocol";
import { journalSpec } from "./broker-testkit.ts";
import { FakeSpools } from "./fake-spools.ts";
import type { HoldersList, Segment } from "./holders-list.ts";
import { Joining, type JoinedJournal, type JoiningPorts } from "./joining.ts";
import { piecesOf, storedTo, wantedCopies } from "./joining-plan.ts";
import { JOIN_GRACE_MS, JOIN_LOOK_MS, JOIN_RETRY_MS_MAX } from "./limits.ts";
import type { FetchRequest, HolderCalls } from "./peer-network.ts";

const J = "a/journal";
const LIFE = { journal: J, createRevision: 7, epoch: 1 };
const OLD = "what the others have".repeat(50);
const segment = (begin: number, ...members: string[]): Segment => ({ epoch: 1, begin, members });
const held = (...segments: Segment[]): HoldersList => ({ segments, tail: { kind: "held" } });
const JOINED = held(segment(0, "a", "b"), segment(OLD.length, "b", "c"));
const sha256 = (bytes: string): string => createHash("sha256").update(bytes).digest("hex");

/** A broker that has all of `content`, until a test says otherwise. */
class Other implements HolderCalls {
  content = OLD;
  /** It has nothing below. */
  from = 0;
  /** Chunks after which it says nothing more. */
  silentAfter = Number.POSITIVE_INFINITY;
  sum: ((content: string) => string) | undefined;
  readonly fetched: FetchRequest[] = [];

  hold(): never {
    throw new Error("nobody is fenced or brought");
  }

  async *fetch(request: FetchRequest, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    this.fetched.push(request);
    const content = this.#of(request);
    for (let at = 0, count = 0; at < content.length; at += 100, count++) {
      if (count >= this.silentAfter)
        await new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason as Error)),
        );
      yield utf8(content.slice(at, at + 100));
    }
  }

  digest(request: FetchRequest): Promise<string> {
    try {
      return Promise.resolve((this.sum ?? sha256)(this.#of(request)));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #of({ begin, end }: FetchRequest): string {
    if (begin < this.from || end > this.content.length)
      throw new WireError("NOT_FOUND", "not all of it is here");
    return this.content.slice(begin, end);
  }
}

class World {
  readonly agenda = new Agenda();
  readonly others = new Map([
    ["a", new Other()],
    ["b", new Other()],
  ]);
  readonly spools = new FakeSpools();
  readonly index = new FragmentIndex();
  list: HoldersList | undefined = JOINED;
  listRevision = 1;
  reads = 0;
  isMember = true;
  isPrimary = true;
  replication = 2;
  stores: readonly string[] = [];
  joining!: Joining;
  journal: JoinedJournal | undefined;
  spool!: Spool;
  #stop = new AbortController();

  /** `c` joined where `list` goes on. */
  static async open(change: Partial<World> = {}): Promise<World> {
    const world = Object.assign(new World(), change);
    world.spool = await world.spools.claim(LIFE, OLD.length);
    world.start();
    return world;
  }

  start(): void {
    this.#stop = new AbortController();
    this.joining = new Joining(this.#ports());
    this.joining.run(this.#stop.signal).catch(() => undefined);
  }

  stop(): void {
    this.#stop.abort(new WireError("SHUTTING_DOWN", "stopped"));
  }

  pass(ms = 3 * JOIN_LOOK_MS): Promise<void> {
    return this.agenda.advance(ms);
  }

  async text(): Promise<string> {
    let all = "";
    for (const { begin, end } of this.spool.held())
      for (let at = begin; at < end;) {
        const bytes = await this.spool.read(at, end - at, never);
        all += text(bytes);
        at += bytes.length;
      }
    return all;
  }

  #ports(): JoiningPorts {
    const gauge = { add: () => undefined, set: () => undefined };
    const assignments = [{ modRevision: 3 }] as unknown as ReturnType<
      JoiningPorts["keyspace"]["table"]["assignments"]
    >;
    const spec = (): ReturnType<typeof journalSpec> => {
      const plain = journalSpec(J);
      return {
        ...plain,
        replication: this.replication,
        fragment: { ...plain.fragment, stores: this.stores },
      };
    };
    const item = () => ({ createRevision: 7, key: "item", spec: spec() });
    return {
      keyspace: {
        table: { assignments: () => assignments, item } as unknown as JoiningPorts["keyspace"]["table"],
      },
      lists: {
        read: () => {
          this.reads++;
          return Promise.resolve({ list: this.list, listRevision: this.listRevision, readAt: 1 });
        },
        write: (_, list, listRevision) => {
          if (listRevision !== this.listRevision) return Promise.resolve({ kind: "conflict", revision: 9 });
          this.list = list;
          this.listRevision++;
          return Promise.resolve({ kind: "done", revision: 9 });
        },
      },
      holders: {
        self: "c",
        find: (id) => {
          const calls = this.others.get(id);
          return calls && { id, calls, peer: { id: { zone: "", suffix: id }, endpoint: "" } };
        },
      },
      journals: () => {
        this.journal ??= { spool: this.spool, index: this.index, spec: spec() };
        return [this.journal];
      },
      isMember: () => this.isMember,
      isPrimary: () => this.isPrimary,
      clock: new SimulatedClock(this.agenda),
      logger: silentLogger,
      metrics: { copyWantedBytes: gauge, copiedBytes: gauge } as unknown as JoiningPorts["metrics"],
    };
  }
}

suite("joining", () => {
  test("others have what no store has -> it is copied, taken over by the primary, and that is all", async () => {
    const world = await World.open();
    await world.pass();
    assert.equal(await world.text(), OLD);
    assert.deepEqual(world.list, held(segment(0, "b", "c"), segment(OLD.length, "b", "c")));
    assert.deepEqual(world.joining.progress, { journals: 0, wantedBytes: 0, copiedBytes: OLD.length });
    const { reads } = world;
    await world.pass(60_000);
    assert.equal(world.reads, reads, "nothing is read while the route stays");
  });

  test("as a replica -> copies, and leaves the list to the primary", async () => {
    const world = await World.open({ isPrimary: false });
    await world.pass();
    assert.equal(await world.text(), OLD);
    assert.equal(world.list, JOINED);
  });

  test("a store has it -> nothing is copied; it has the begin -> the rest is copied, and taken over", async () => {
    for (const stored of [OLD.length, 300]) {
      const world = await World.open({ stores: ["file:///"] });
      const name = { journal: J, begin: 0, end: stored, sum: "0".repeat(40), backingStore: "file:///" };
      const fragment = newFragment({ ...name, modTime: 1 });
      world.index.setRemote([{ kind: "remote", begin: 0, end: stored, fragment }], 0);
      await world.pass(JOIN_GRACE_MS - JOIN_LOOK_MS);
      assert.equal(await world.text(), "", "the stores have a moment to catch up");
      await world.pass(3 * JOIN_LOOK_MS);
      assert.equal(await world.text(), OLD.slice(stored));
      const expected = held(segment(0, "a", "b"), segment(300, "b", "c"), segment(OLD.length, "b", "c"));
      assert.deepEqual(world.list, stored === 300 ? expected : JOINED);
    }
  });

  test("a holder sends others than its disk has, or too few -> nothing counts; another one is asked", async () => {
    const wrong = (): string => "another sum";
    for (const spoil of [
      (one: Other) => (one.sum = wrong),
      (one: Other) => (one.silentAfter = 3),
      (one: Other) => (one.from = OLD.length),
    ]) {
      const world = await World.open();
      spoil(world.others.get("a")!);
      await world.pass(20_000);
      assert.equal(await world.text(), OLD);
      assert.ok(world.others.get("a")!.fetched.length > 0 && world.others.get("b")!.fetched.length > 0);
    }
    const world = await World.open();
    for (const other of world.others.values()) other.sum = wrong;
    await world.pass(20_000);
    assert.deepEqual([await world.text(), world.joining.progress.wantedBytes], ["", OLD.length]);
  });

  test("nobody has it, or is here -> asked again ever more rarely, and copied when they come", async () => {
    const world = await World.open();
    const others = new Map(world.others);
    world.others.clear();
    await world.pass(120_000);
    const { reads } = world;
    await world.pass(5 * JOIN_RETRY_MS_MAX);
    assert.ok(world.reads - reads <= 6, `${world.reads - reads} reads`);
    for (const [id, other] of others) world.others.set(id, other);
    await world.pass(2 * JOIN_RETRY_MS_MAX);
    assert.equal(await world.text(), OLD);
  });

  test("another member has not all of it, or other bytes, or cannot be asked -> nothing is taken over", async () => {
    const spoilt: ((world: World) => void)[] = [
      ({ others }) => (others.get("b")!.from = 10),
      ({ others }) => (others.get("b")!.sum = () => "another sum"),
      ({ others }) => others.delete("b"),
    ];
    for (const spoil of spoilt) {
      const world = await World.open();
      spoil(world);
      await world.pass(20_000);
      assert.equal(await world.text(), OLD);
      assert.equal(world.list, JOINED);
    }
  });

  test("one member stands still, one is not here -> nobody is asked in vain, nothing fails later", async () => {
    const still = new Other();
    let asked = 0;
    const world = await World.open({ list: held(segment(0, "a"), segment(OLD.length, "d", "e", "c")) });
    world.others.set("d", still);
    Object.assign(still, {
      digest: (_: FetchRequest, signal: AbortSignal) => {
        asked++;
        return new Promise((__, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason as Error)),
        );
      },
    });
    await world.pass(60_000);
    assert.equal(asked, 0);
    world.others.set("e", new Other());
    await world.pass(120_000);
    assert.ok(asked > 0);
    assert.deepEqual(world.list!.segments[0]!.members, ["a"]);
  });

  test("the list was written meanwhile -> read again; members are too few -> nothing is taken over", async () => {
    const world = await World.open();
    const b = world.others.get("b")!;
    let isFirst = true;
    b.sum = (content) => {
      if (isFirst) world.listRevision++;
      isFirst = false;
      return sha256(content);
    };
    await world.pass(20_000);
    assert.deepEqual(world.list!.segments[0]!.members, ["b", "c"]);
    const few = await World.open({
      replication: 3,
      list: held(segment(0, "a", "b"), segment(OLD.length, "c")),
    });
    await few.pass(20_000);
    assert.equal(await few.text(), OLD);
    assert.equal(few.list!.segments[0]!.members.length, 2);
  });

  test("the journal leaves this broker while a holder is slow -> no more is asked; a new process goes on", async () => {
    const world = await World.open({ isPrimary: false });
    world.others.get("a")!.silentAfter = 2;
    world.others.delete("b");
    await world.pass(JOIN_LOOK_MS + 100);
    world.isMember = false;
    await world.pass(60_000);
    const count = world.others.get("a")!.fetched.length;
    await world.pass(60_000);
    assert.equal(world.others.get("a")!.fetched.length, count);
    world.stop();
    world.others.get("a")!.silentAfter = Number.POSITIVE_INFINITY;
    world.isMember = true;
    world.start();
    await world.pass();
    assert.equal(await world.text(), OLD);
  });

  test("no list, a void one, or one of another route -> nothing is copied", async () => {
    const lists: (HoldersList | undefined)[] = [
      undefined,
      { segments: [segment(0, "a")], tail: { kind: "void", begin: 500 } },
      held(segment(0, "a"), segment(OLD.length, "b")),
    ];
    for (const list of lists) {
      const world = await World.open();
      world.list = list;
      await world.pass(20_000);
      assert.equal(await world.text(), "");
    }
  });
});

test("plan: older segments of others, without what is here or stored, the newest first", () => {
  const list = held(segment(0, "a"), segment(10, "a", "c"), segment(20, "b"), segment(30, "c", "d"));
  const here = [{ begin: 22, end: 24 }];
  const stored = [{ begin: 0, end: 4 }];
  assert.deepEqual(wantedCopies(list, "c", here, stored), [
    { begin: 20, end: 22, holders: ["b"] },
    { begin: 24, end: 30, holders: ["b"] },
    { begin: 4, end: 10, holders: ["a"] },
  ]);
  assert.deepEqual(wantedCopies(list, "a", [], []), [], "it does not go on");
  assert.equal(
    storedTo(3, [
      { begin: 0, end: 5 },
      { begin: 5, end: 9 },
      { begin: 10, end: 11 },
    ]),
    9,
  );
  assert.equal(storedTo(3, [{ begin: 4, end: 5 }]), 3);
  assert.deepEqual(piecesOf({ begin: 1, end: 6 }, 3), [
    { begin: 1, end: 4 },
    { begin: 4, end: 6 },
  ]);
});
