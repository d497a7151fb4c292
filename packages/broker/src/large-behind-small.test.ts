// A large append whose content waits until a small one before it is confirmed, which does not come: it must not keep
// the journal's pipeline, without which nothing confirms the small one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, text, utf8, WireError } from "@millrace/base";
import { getJournal } from "@millrace/client";
import { deleteChange, newAppendRequest } from "@millrace/protocol";
import { applySpec, journalSpec, readAll, readRequest } from "./broker-testkit.ts";
import { openTestCluster, type ClusterMember, type TestCluster } from "./cluster-testkit.ts";
import type { FakeSpools } from "./fake-spools.ts";

const J = "a/journal";
const LARGE = 400 * 1024;

interface Stuck {
  readonly cluster: TestCluster;
  readonly primary: ClusterMember;
  readonly replica: ClusterMember;
  /** Status or code of the small append, and of the large one. */
  readonly small: Promise<string>;
  readonly large: Promise<string>;
  readonly leave: (reason: Error) => void;
}

function appends(at: ClusterMember, content: string, signal: AbortSignal): Promise<string> {
  const bytes = [utf8(content)];
  const request = newAppendRequest({ journal: J });
  return at.transport.append(request, { kind: "bytes", bytes }, signal).then(
    ({ status }) => status,
    (error: unknown) => WireError.from(error).code,
  );
}

async function stuck(run: (stuck: Stuck) => Promise<void>): Promise<void> {
  const cluster = await openTestCluster({ zones: ["a", "b", "c", "d"] });
  const { members, agenda } = cluster;
  try {
    const { fragment } = journalSpec(J);
    const spec = journalSpec(J, { replication: 3, fragment: { ...fragment, stores: [] } });
    await cluster.within(applySpec(members[0]!.transport, spec));
    await agenda.advance(3000);
    const { route } = await cluster.within(getJournal(members[0]!.transport, J, never));
    const [primary, replica] = route.members.map(({ suffix }) =>
      members.find(({ id }) => id.suffix === suffix)!,
    );
    (primary!.spools as FakeSpools).isPatient = true;
    assert.equal(await cluster.within(appends(primary!, "before ", never)), "OK");
    (replica!.spools as FakeSpools).isHeld = true;
    const caller = new AbortController();
    const small = appends(primary!, "small ", never);
    const large = appends(primary!, "L".repeat(LARGE), caller.signal);
    await agenda.advance(500);
    const leave = (reason: Error): void => caller.abort(reason);
    await run({ cluster, primary: primary!, replica: replica!, small, large, leave });
  } finally {
    for (const { spools } of members) {
      (spools as FakeSpools).isHeld = false;
      (spools as FakeSpools).flush();
    }
    await cluster.close();
  }
}

test("a large append waits for a small one, a replica dies -> that is confirmed, the journal goes on", async () => {
  await stuck(async ({ cluster, primary, replica, small, large }) => {
    replica.kill();
    assert.equal(await cluster.within(small, 60_000), "OK");
    const answered = await cluster.within(large, 60_000);
    assert.ok(["OK", "UNAVAILABLE"].includes(answered), answered);
    assert.equal(await cluster.within(appends(primary, "after", never), 60_000), "OK");
    const all = text(await cluster.within(readAll(primary.transport, readRequest(J), never)));
    const between = answered === "OK" ? "L".repeat(LARGE) : "";
    assert.ok(all === `before small ${between}after`, `${all.length} bytes`);
  });
});

test("a large append waits for a small one, its caller leaves -> others go on when that is confirmed", async () => {
  await stuck(async ({ cluster, primary, replica, small, large, leave }) => {
    leave(new WireError("REQUEST_TIMEOUT", "the caller left"));
    assert.equal(await cluster.within(large), "REQUEST_TIMEOUT");
    const next = appends(primary, "next", never);
    const spools = replica.spools as FakeSpools;
    spools.isHeld = false;
    spools.flush();
    assert.deepEqual(await cluster.within(Promise.all([small, next])), ["OK", "OK"]);
  });
});

test("a large append waits for a small one, the journal is deleted -> it goes, a new one begins", async () => {
  await stuck(async ({ cluster, primary, small, large }) => {
    const { status } = await cluster.within(
      primary.transport.apply({ changes: [deleteChange(J, -1)] }, never),
    );
    assert.equal(status, "OK");
    const outcomes = await cluster.within(Promise.all([small, large]), 60_000);
    assert.ok(!outcomes.includes("OK"), outcomes.join());
    for (const { spools } of cluster.members) {
      (spools as FakeSpools).isHeld = false;
      (spools as FakeSpools).flush();
    }
    const { fragment } = journalSpec(J);
    const spec = journalSpec(J, { replication: 3, fragment: { ...fragment, stores: [] } });
    await cluster.within(applySpec(primary.transport, spec));
    assert.equal(await cluster.within(appends(primary, "new", never), 60_000), "OK");
  });
});
