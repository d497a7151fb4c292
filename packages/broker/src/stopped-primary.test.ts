// A primary whose process stands still (SIGSTOP, or a network that swallows everything) while its lease lasts, as
// clients see it who ask another broker. Nobody is told that it is gone: nothing refuses connections.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8, WireError } from "@millrace/base";
import { settle } from "@millrace/base/testkit";
import type { JournalTransport } from "@millrace/client";
import { newFragmentsRequest, type ReadRequest, type ReadResponse } from "@millrace/protocol";
import { applySpec, journalSpec, preamble, readAll, readRequest } from "./broker-testkit.ts";
import { openTestCluster, type ClusterMember, type TestCluster } from "./cluster-testkit.ts";
import { PEER_ANSWER_MS, PEER_GONE_GRACE_MS, PEER_SILENCE_MS } from "./limits.ts";

const J = "a/journal";
const LEASE_SECONDS = 10;

interface Fixture {
  readonly cluster: TestCluster;
  readonly primary: ClusterMember;
  readonly replica: ClusterMember;
  /** Not a member of the journal's route. */
  readonly outsider: ClusterMember;
  /** The status of an append, or its error's code. */
  readonly append: (member: ClusterMember, part: string) => Promise<string>;
  readonly read: (member: ClusterMember) => Promise<string>;
  /** The primary's process stands still. */
  readonly stop: () => void;
  /** The coordination store takes the lease away; before that, it goes on by itself. */
  readonly endLease: () => Promise<void>;
  /** It goes on, and finds that its lease is over. */
  readonly resume: () => void;
}

async function withCluster(run: (fixture: Fixture) => Promise<void>): Promise<void> {
  const cluster = await openTestCluster({ zones: ["a", "b", "c", "d"], leaseSeconds: LEASE_SECONDS });
  try {
    await cluster.within(applySpec(cluster.members[0]!.transport, journalSpec(J, { replication: 3 })));
    await cluster.agenda.advance(1000);
    const empty = { kind: "bytes", bytes: [] } as const;
    const { transport } = cluster.members[0]!;
    const { route } = (await cluster.within(transport.append(preamble(J), empty, never))).header;
    const primary = cluster.members.find(({ id }) => id.suffix === route.members[route.primary]!.suffix)!;
    const isMember = ({ id }: ClusterMember): boolean =>
      route.members.some(({ suffix }) => suffix === id.suffix);
    const others = cluster.members.filter((member) => member !== primary);
    const wires = (act: "cut" | "heal"): void => {
      for (const { id } of others) cluster.network[act](primary.id, id);
    };
    await run({
      cluster,
      primary,
      replica: others.find(isMember)!,
      outsider: others.find((member) => !isMember(member))!,
      append: (member, part) =>
        member.transport.append(preamble(J), { kind: "bytes", bytes: [utf8(part)] }, never).then(
          ({ status }) => status,
          (error: unknown) => WireError.from(error).code,
        ),
      read: async (member) => text(await readAll(member.transport, readRequest(J), never)),
      stop: () => wires("cut"),
      endLease: () => cluster.coordination.revokeLease(primary.broker.lease, never).then(() => undefined),
      resume: () => wires("heal"),
    });
  } finally {
    await cluster.close();
  }
}

test("stopped primary: appends through others -> unknown when its lease has ended; the next ones go on", async () => {
  await withCluster(async ({ cluster, replica, outsider, append, read, stop, endLease, resume }) => {
    assert.equal(await cluster.within(append(outsider, "one ")), "OK");
    const onItsWay = append(outsider, "two ");
    stop();
    const after = [append(outsider, "three "), append(replica, "four ")];
    const ends: string[] = [];
    for (const each of [onItsWay, ...after]) void each.then((end) => ends.push(end));
    await cluster.agenda.advance((LEASE_SECONDS - 1) * 1000);
    assert.deepEqual(ends, [], "nobody can tell before the lease has ended");
    await endLease();
    await cluster.agenda.advance(PEER_GONE_GRACE_MS);
    assert.deepEqual(ends, ["OUTCOME_UNKNOWN", "OUTCOME_UNKNOWN", "OUTCOME_UNKNOWN"]);
    assert.equal(await cluster.within(append(outsider, "last ")), "OK");
    const content = await cluster.within(read(outsider));
    // What was sent may have come to the replicas; nothing is there twice, nor in pieces.
    assert.match(content, /^one (two )?last $/);
    resume();
    await cluster.agenda.advance(2000);
    for (const member of [outsider, replica]) assert.equal(await cluster.within(read(member)), content);
  });
});

test("stopped primary: reads and listings through others -> another member answers meanwhile", async () => {
  await withCluster(async ({ cluster, replica, outsider, append, read, stop }) => {
    assert.equal(await cluster.within(append(outsider, "one ")), "OK");
    await cluster.agenda.advance(1000);
    stop();
    const listed = async ({ transport }: ClusterMember): Promise<number> => {
      const { fragments } = await transport.listFragments(newFragmentsRequest({ journal: J }), never);
      return fragments.length;
    };
    // A member that stands still, and the primary that the next one asks whether there is more.
    const boundMs = 2 * PEER_ANSWER_MS + 100;
    for (let turn = 0; turn < 6; turn++) {
      // Whoever had to wait remembers who did not answer.
      const withinMs = turn < 3 ? boundMs : 100;
      for (const member of [outsider, replica]) {
        assert.equal(await cluster.within(read(member), withinMs), "one ");
        assert.equal(await cluster.within(listed(member), withinMs), 1);
      }
    }
  });
});

test("stopped primary: it answers again -> it is asked again", async () => {
  await withCluster(async ({ cluster, outsider, replica, append, read, stop, resume }) => {
    assert.equal(await cluster.within(append(outsider, "one ")), "OK");
    await cluster.agenda.advance(1000);
    stop();
    assert.equal(await cluster.within(read(replica), PEER_ANSWER_MS + 100), "one ");
    resume();
    await cluster.agenda.advance(PEER_SILENCE_MS);
    assert.equal(await cluster.within(append(outsider, "two ")), "OK");
    // Only the primary knows, so shortly after the acknowledgement.
    assert.equal(await cluster.within(read(replica)), "one two ");
  });
});

test("stopped primary: a read that waits there -> goes on with another when the lease has ended", async () => {
  await withCluster(async ({ cluster, outsider, append, stop, endLease }) => {
    const abort = new AbortController();
    // Members take turns: one of these waits at the primary.
    const got = ["", "", ""];
    const readers = got.map(async (_, i) => {
      for await (const { content } of outsider.transport.read(readRequest(J, { block: true }), abort.signal))
        if (content !== undefined) got[i] += text(content);
    });
    await cluster.agenda.advance(100);
    stop();
    await endLease();
    await cluster.agenda.advance(PEER_GONE_GRACE_MS);
    assert.equal(await cluster.within(append(outsider, "last")), "OK");
    await cluster.agenda.advance(3000);
    assert.deepEqual(got, ["last", "last", "last"]);
    abort.abort(new Error("enough"));
    await Promise.allSettled(readers);
  });
});

test("stopped primary: its own clients -> acknowledged only what the next primary has", async () => {
  await withCluster(async ({ cluster, primary, outsider, append, read, stop, endLease, resume }) => {
    assert.equal(await cluster.within(append(primary, "one ")), "OK");
    const under = append(primary, "two ");
    stop();
    const ends = Promise.all([under, append(primary, "three ")]);
    await cluster.agenda.advance(1000);
    await endLease();
    await cluster.agenda.advance(PEER_GONE_GRACE_MS);
    assert.equal(await cluster.within(append(outsider, "last ")), "OK");
    resume();
    const told = await cluster.within(ends);
    await cluster.agenda.advance(2000);
    const content = await cluster.within(read(outsider));
    assert.match(content, /^one (two )?(three )?last (two )?(three )?$/);
    for (const [i, part] of ["two ", "three "].entries()) {
      if (told[i] === "OK") assert.ok(content.includes(part), `${part}was acknowledged`);
    }
    assert.ok(
      told.every((end) => end !== "OK"),
      `a primary without its peers acknowledged: ${told.join()}`,
    );
  });
});

for (const { what, isGone, end } of [
  { what: "the store has taken it away", isGone: true, end: "OUTCOME_UNKNOWN" },
  { what: "the store has it still", isGone: false, end: "OK" },
]) {
  test(`stopped primary, alone on its route: goes on after its lease, ${what} -> ${end}`, async () => {
    const cluster = await openTestCluster({ zones: ["a"], leaseSeconds: LEASE_SECONDS });
    try {
      const [{ transport, broker }] = cluster.members as [ClusterMember];
      await cluster.within(applySpec(transport, journalSpec(J)));
      const append = async (part: string): Promise<string> => {
        const content = { kind: "bytes", bytes: [utf8(part)] } as const;
        return transport.append(preamble(J), content, never).then(
          ({ status }) => status,
          (error: unknown) => WireError.from(error).code,
        );
      };
      assert.equal(await cluster.within(append("one ")), "OK");
      cluster.agenda.stall((LEASE_SECONDS - 1) * 1000);
      assert.equal(await ended(append("two ")), "OK");
      // No timer has run yet: of this broker's lease only the clock tells, and the store when it is asked.
      cluster.agenda.stall(1000);
      const last = append("three ");
      if (isGone) void cluster.coordination.revokeLease(broker.lease, never);
      assert.equal(await ended(last), end);
    } finally {
      await cluster.close();
    }
  });
}

for (const { what, isGone } of [
  { what: "others may have the journal", isGone: true },
  { what: "the store has it still", isGone: false },
]) {
  test(`stopped primary: asked for the journal's end after its lease, ${what} -> told only if it lives`, async () => {
    const cluster = await openTestCluster({ zones: ["a"], leaseSeconds: LEASE_SECONDS });
    try {
      const [{ transport, broker }] = cluster.members as [ClusterMember];
      await cluster.within(applySpec(transport, journalSpec(J)));
      const content = { kind: "bytes", bytes: [utf8("one ")] } as const;
      await cluster.within(transport.append(preamble(J), content, never));
      // No timer has run: its keyspace has the journal as its own.
      cluster.agenda.stall(LEASE_SECONDS * 1000);
      const asked = [4, -1].map(async (offset) => {
        const [first] = await responses(transport, readRequest(J, { offset }));
        return first?.status;
      });
      if (isGone) void cluster.coordination.revokeLease(broker.lease, never);
      for (const end of asked) {
        const told = await ended(end.catch((error: unknown) => WireError.from(error).code));
        if (isGone) assert.notEqual(told, "OFFSET_NOT_YET_AVAILABLE");
        else assert.equal(told, "OFFSET_NOT_YET_AVAILABLE");
      }
    } finally {
      await cluster.close();
    }
  });
}

async function responses(transport: JournalTransport, request: ReadRequest): Promise<ReadResponse[]> {
  const all: ReadResponse[] = [];
  for await (const response of transport.read(request, never)) all.push(response);
  return all;
}

/** What it came to without any time. */
async function ended<T>(work: Promise<T>): Promise<T | "waits"> {
  let end: T | "waits" = "waits";
  void work.then((value) => (end = value));
  for (let turns = 0; turns < 20 && end === "waits"; turns++) await settle();
  return end;
}
