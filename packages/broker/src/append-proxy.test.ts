import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { never, text, utf8, WireError } from "@millrace/base";
import { settle } from "@millrace/base/testkit";
import type { AppendContent } from "@millrace/client";
import {
  assignmentKey,
  encodeRoute,
  labelSet,
  parseLabelSelector,
  type AppendResponse,
} from "@millrace/protocol";
import type { AppendCaller } from "./append-ports.ts";
import { AppendFeed } from "./append-feed.ts";
import { applySpec, journalSpec, preamble, readAll, readRequest } from "./broker-testkit.ts";
import { DEFAULT_ROOT } from "./broker.ts";
import { openTestCluster, type ClusterMember, type TestCluster } from "./cluster-testkit.ts";
import { openPuppet } from "./puppet-testkit.ts";

const J = "a/journal";
const bytes = (...parts: readonly string[]): AppendContent => ({ kind: "bytes", bytes: parts.map(utf8) });

interface Fixture {
  readonly cluster: TestCluster;
  readonly primary: ClusterMember;
  /** Not a member of the journal's route. */
  readonly other: ClusterMember;
  /** As the primary has it. */
  readonly content: () => Promise<string>;
}

async function withCluster(
  run: (fixture: Fixture) => Promise<void>,
  { leaseSeconds = 60, replication = 1 } = {},
): Promise<void> {
  const cluster = await openTestCluster({ leaseSeconds });
  try {
    await cluster.within(applySpec(cluster.members[0]!.transport, journalSpec(J, { replication })));
    const primary = await primaryOf(cluster);
    const other = cluster.members.find((member) => member !== primary)!;
    const content = async (): Promise<string> =>
      text(await cluster.within(readAll((await primaryOf(cluster)).transport, readRequest(J), never)));
    await run({ cluster, primary, other, content });
  } finally {
    await cluster.close();
  }
}

async function primaryOf(cluster: TestCluster): Promise<ClusterMember> {
  const { transport } = cluster.members[0]!;
  const answer = await cluster.within(transport.append(preamble(J), bytes(), never));
  const { members, primary } = answer.header.route;
  return cluster.members.find(({ id }) => id.suffix === members[primary]?.suffix)!;
}

const failureOf = (work: Promise<unknown>): Promise<WireError> =>
  work.then(
    (answer) => assert.fail(`it should fail, and answered ${JSON.stringify(answer)}`),
    (error: unknown) => WireError.from(error),
  );

describe("an append at another broker", () => {
  test("whole, in a stream, of a name with metadata, empty -> at the primary, whose answer comes back", async () => {
    await withCluster(async ({ cluster, primary, other, content }) => {
      const stream: AppendContent = {
        kind: "chunks",
        chunks: (async function* () {
          for (const part of ["c", "", "d"]) yield utf8(part);
        })(),
      };
      const ends: [string, number | undefined][] = [];
      for (const [name, what] of [
        [J, bytes("a", "b")],
        [J, stream],
        [`${J};meta`, bytes("e")],
        [J, bytes()],
      ] as const) {
        const { status, commit, header } = await cluster.within(
          other.transport.append(preamble(name), what, never),
        );
        assert.deepEqual(header.processId, primary.id);
        ends.push([status, commit?.end]);
      }
      assert.deepEqual(ends, [
        ["OK", 2],
        ["OK", 4],
        ["OK", 5],
        ["OK", 5],
      ]);
      assert.equal(await content(), "abcde");
    });
  });

  test("registers, offsets, refusals and texts are the primary's; do_not_proxy -> refused here", async () => {
    await withCluster(async ({ cluster, other, content }) => {
      const step = async (fields: Parameters<typeof preamble>[1], what = bytes("x")): Promise<unknown> => {
        const answer = await cluster.within(other.transport.append(preamble(J, fields), what, never));
        return [answer.status, answer.registers];
      };
      const set = labelSet(["author", "me"]);
      assert.deepEqual(await step({ unionRegisters: set }), ["OK", set]);
      const check = parseLabelSelector("author = you");
      assert.deepEqual(await step({ checkRegisters: check }), ["REGISTER_MISMATCH", set]);
      assert.deepEqual(await step({ offset: 7 }), ["WRONG_APPEND_OFFSET", undefined]);
      assert.deepEqual(await step({ offset: 1 }), ["OK", set]);
      assert.deepEqual(await step({ doNotProxy: true }), ["NOT_JOURNAL_PRIMARY_BROKER", undefined]);
      const request = preamble(J, { unionRegisters: set });
      const refused = await failureOf(cluster.within(other.transport.append(request, bytes(), never)));
      assert.deepEqual(
        [refused.code, refused.message],
        ["INVALID_ARGUMENT", "append stream: register modification requires non-empty Append"],
      );
      assert.equal(await content(), "xx");
    });
  });

  test("its caller's time is over once all was passed on -> nobody knows whether it happened", async () => {
    await withCluster(async ({ cluster, primary, other, content }) => {
      const abort = new AbortController();
      cluster.network.wire(primary.id, other.id).cut(); // its answer
      const append = failureOf(other.transport.append(preamble(J), bytes("perhaps"), abort.signal));
      await cluster.agenda.advance(0); // it is on its way
      abort.abort(new WireError("REQUEST_TIMEOUT", "the token of the request has expired"));
      const { code, message } = await cluster.within(append);
      assert.equal(code, "OUTCOME_UNKNOWN", message);
      cluster.network.wire(primary.id, other.id).heal();
      await cluster.within(other.transport.append(preamble(J), bytes("!"), never));
      assert.match(await content(), /^(?:perhaps)?!$/);
    });
  });

  test("min_etcd_revision -> read through before it is passed on", async () => {
    await withCluster(async ({ cluster, primary, other }) => {
      const { header } = await cluster.coordination.range({ key: "any" }, never);
      const revision = header.revision + 1;
      const append = other.transport.append(preamble(J, { minEtcdRevision: revision }), bytes("x"), never);
      let isOver = false;
      const over = append.then(() => (isOver = true));
      await cluster.agenda.advance(100);
      assert.equal(isOver, false);
      await cluster.within(applySpec(primary.transport, journalSpec("b/journal")));
      await cluster.within(over);
      assert.ok((await append).header.etcd.revision >= revision);
    });
  });

  test("its source fails, or its caller aborts -> rolled back at the primary; the next goes on", async () => {
    await withCluster(async ({ cluster, other, content }) => {
      const failing: AppendContent = {
        kind: "chunks",
        chunks: (async function* () {
          yield utf8("lost");
          throw new WireError("REQUEST_TIMEOUT", "too slow");
        })(),
      };
      const failed = await failureOf(cluster.within(other.transport.append(preamble(J), failing, never)));
      assert.equal(failed.message, "too slow");

      const abort = new AbortController();
      const endless: AppendContent = {
        kind: "chunks",
        chunks: (async function* () {
          yield utf8("lost");
          await new Promise(() => undefined);
        })(),
      };
      const aborted = other.transport.append(preamble(J), endless, abort.signal);
      aborted.catch(() => undefined);
      await cluster.agenda.advance(50);
      abort.abort(new WireError("UNAVAILABLE", "enough"));
      await assert.rejects(aborted, { message: "enough" });
      const { commit } = await cluster.within(other.transport.append(preamble(J), bytes("kept"), never));
      assert.deepEqual([commit?.begin, await content()], [0, "kept"]);
    });
  });

  test("a member too many -> goes to a primary that has yet to make it consistent, else waits (A8)", async () => {
    const cluster = await openTestCluster({ zones: [] });
    try {
      await openPuppet(cluster, { suffix: "leader" }); // The allocator's, which leaves assignments as they are.
      let taken = 0;
      const primary = await openPuppet(cluster, {
        suffix: "a-primary",
        append: async ({ header }) => {
          taken++;
          return { status: "OK", header: header!, totalChunks: 0, delayedChunks: 0, storeHealthError: "" };
        },
      });
      const own = await cluster.open({ zone: "o" });
      const newcomer = await openPuppet(cluster, { suffix: "b-newcomer" });
      await cluster.within(applySpec(own.transport, journalSpec(J, { replication: 2 })));
      const key = (member: typeof own.id, slot: number): string =>
        assignmentKey(DEFAULT_ROOT, { item: J, member, slot });
      const keys = [key(primary.id, 0), key(own.id, 1), key(newcomer.id, 2)];
      const assign = async (...values: readonly Uint8Array[]): Promise<void> => {
        const success = values.map((value, i) => ({ kind: "put", key: keys[i]!, value }) as const);
        await cluster.coordination.txn({ compare: [], success }, never);
        await cluster.agenda.advance(0);
      };
      const routeOf = (...members: readonly (typeof own.id)[]): Uint8Array =>
        encodeRoute({ members, primary: 1, endpoints: [] });
      const append = (): Promise<AppendResponse> =>
        cluster.within(own.transport.append(preamble(J), bytes("x"), never));
      const before = routeOf(own.id, primary.id);
      await assign(before, before, new Uint8Array());
      assert.deepEqual([(await append()).status, taken], ["OK", 1]);

      const all = routeOf(own.id, primary.id, newcomer.id);
      await assign(all, all, all);
      const waiting = append();
      await cluster.agenda.advance(10_000);
      assert.equal(taken, 1);
      await cluster.coordination.txn({ compare: [], success: [{ kind: "delete", key: keys[2]! }] }, never);
      assert.deepEqual([(await waiting).status, taken], ["OK", 2]);
    } finally {
      await cluster.close();
    }
  });
});

describe("a primary that goes away", () => {
  test("connections are refused -> what is whole goes to the next primary", async () => {
    await withCluster(
      async ({ cluster, primary, other, content }) => {
        primary.kill();
        const { status, header } = await cluster.within(
          other.transport.append(preamble(J), bytes("x"), never),
        );
        assert.deepEqual([status, header.processId.suffix === primary.id.suffix], ["OK", false]);
        assert.equal(await content(), "x");
      },
      {
        leaseSeconds: 3,
        replication: 2,
      },
    );
  });

  test("refused for longer than a fail-over takes -> UNAVAILABLE: certainly nothing was written", async () => {
    await withCluster(async ({ cluster, primary, other }) => {
      cluster.network.isTelling = false;
      primary.kill();
      const begun = cluster.agenda.nowMs;
      const error = await failureOf(cluster.within(other.transport.append(preamble(J), bytes("x"), never)));
      assert.equal(error.code, "UNAVAILABLE");
      assert.match(error.message, /connection refused/);
      assert.ok(cluster.agenda.nowMs - begun >= 5_000);
    });
  });

  test("it breaks off after it may have seen the append -> the failure is the caller's", async () => {
    await withCluster(async ({ cluster, primary, other }) => {
      cluster.network.wire(primary.id, other.id).cut();
      const before = cluster.network.calls.length;
      const append = failureOf(other.transport.append(preamble(J), bytes("x"), never));
      await settle();
      cluster.network.break(primary.id, other.id);
      assert.equal((await append).message, "connection reset");
      assert.equal(cluster.network.calls.length, before + 1);
      cluster.network.heal(primary.id, other.id);
    });
  });

  test("it is cut off and leaves the keyspace -> the outcome of what was sent is unknown", async () => {
    await withCluster(async ({ cluster, primary, other }) => {
      cluster.network.cut(primary.id, other.id);
      const append = failureOf(other.transport.append(preamble(J), bytes("x"), never));
      await cluster.agenda.advance(1_000);
      await cluster.coordination.revokeLease(primary.broker.lease, never);
      assert.equal((await cluster.within(append)).code, "OUTCOME_UNKNOWN");
      cluster.network.heal(primary.id, other.id);
    });
  });
});

/** An append as doors begin it. */
class Door implements AppendCaller {
  readonly feed = new AppendFeed(() => undefined);
  readonly outcome: Promise<AppendResponse>;
  answered!: (response: AppendResponse) => void;
  failed!: (error: Error) => void;

  constructor() {
    this.outcome = new Promise((resolve, reject) => {
      this.answered = resolve;
      this.failed = reject;
    });
  }

  push(...items: Parameters<AppendFeed["push"]>[0][]): this {
    for (const item of items) this.feed.push(item);
    return this;
  }
}

describe("an append that a door feeds", () => {
  const INTENT = new Uint8Array(0);
  const START = { signal: never };

  async function withDoor(
    run: (fixture: Fixture & { start: (door: Door) => Door }) => Promise<void>,
  ): Promise<void> {
    await withCluster(async (fixture) => {
      const { appends } = fixture.other.broker.journalsFor({
        visible: undefined,
        expiresAtMs: Number.POSITIVE_INFINITY,
      });
      const start = (door: Door): Door => {
        appends.startAppend(preamble(J), door.feed, START, door);
        return door;
      };
      await run({ ...fixture, start });
    });
  }

  test("whole, or piece by piece -> passed on", async () => {
    await withDoor(async ({ cluster, content, start }) => {
      const whole = start(new Door().push(utf8("a"), utf8("b"), INTENT, "end-of-stream"));
      assert.equal((await cluster.within(whole.outcome)).commit?.end, 2);
      const pieces = start(new Door().push(utf8("c")));
      await settle();
      pieces.push(utf8("d"));
      await settle();
      pieces.push(INTENT);
      await settle();
      pieces.push("end-of-stream");
      assert.equal((await cluster.within(pieces.outcome)).commit?.end, 4);
      assert.equal(await content(), "abcd");
    });
  });

  const wrong: Record<string, readonly [Door, string]> = {
    "end without intent": [new Door().push(utf8("a"), "end-of-stream"), "unexpected EOF"],
    "intent without end": [
      new Door().push(INTENT, utf8("a"), "end-of-stream"),
      "expected EOF after empty Content chunk",
    ],
    "a second preamble": [new Door().push({ shape: "preamble" }), "expected Content chunk"],
    "an invalid message": [new Door().push(utf8("a"), { shape: "invalid", text: "so wrong" }), "so wrong"],
  };
  test("streams that do not end as they should -> nothing is committed, in the primary's words", async () => {
    await withDoor(async ({ cluster, content, start }) => {
      for (const [what, [door, message]] of Object.entries(wrong)) {
        const error = await failureOf(cluster.within(start(door).outcome));
        assert.deepEqual(
          [error.code, error.message],
          ["INVALID_ARGUMENT", `append stream: ${message}`],
          what,
        );
      }
      assert.equal(await content(), "");
    });
  });

  test("its primary is gone and its journal comes to this broker -> acknowledged here, all of it", async () => {
    await withCluster(
      async ({ cluster, primary, content }) => {
        const { header } = await cluster.within(primary.transport.append(preamble(J), bytes("a"), never));
        const { members, primary: at } = header.route;
        const heir = cluster.members.find(({ id }) => id.suffix === members[1 - at]!.suffix)!;
        const { appends } = heir.broker.journalsFor({
          visible: undefined,
          expiresAtMs: Number.POSITIVE_INFINITY,
        });
        primary.kill();
        const doors = ["b", "c"].map((part) =>
          new Door().push(utf8(part), utf8(part), INTENT, "end-of-stream"),
        );
        for (const door of doors) appends.startAppend(preamble(J), door.feed, START, door);
        for (const { outcome } of doors) {
          const answer = await cluster.within(outcome);
          assert.deepEqual([answer.status, answer.header.processId], ["OK", heir.id]);
        }
        assert.match(await content(), /^a(bbcc|ccbb)$/);
      },
      { leaseSeconds: 3, replication: 2 },
    );
  });
});
