// An append that queued behind the suspension of its journal, and whose sync takes longer than the route lasts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, text, utf8, WireError } from "@millrace/base";
import { append, getJournal } from "@millrace/client";
import { newAppendRequest } from "@millrace/protocol";
import { applySpec, journalSpec, readAll, readRequest } from "./broker-testkit.ts";
import { openTestCluster } from "./cluster-testkit.ts";
import type { FakeSpools } from "./fake-spools.ts";

const JOURNAL = "a/journal";
const SLOW = "acknowledged";

interface Case {
  readonly replication: number;
  /** Whose disks take long for a sync. */
  readonly slow: "primary" | "replica" | "all";
  readonly stallMs: number;
  readonly dies?: boolean;
}

const CASES: readonly Case[] = [
  { replication: 1, slow: "primary", stallMs: 6000 },
  { replication: 1, slow: "primary", stallMs: 6000, dies: true },
  { replication: 2, slow: "replica", stallMs: 1000, dies: true },
  { replication: 2, slow: "all", stallMs: 6000 },
  { replication: 3, slow: "all", stallMs: 300 },
  { replication: 3, slow: "all", stallMs: 6000, dies: true },
];

for (const { replication, slow, stallMs, dies = false } of CASES) {
  const after = dies ? ", its primary dies" : "";
  const name = `suspend, R=${replication}, ${slow} slow for ${stallMs} ms${after}: an append in the log stays, once`;
  test(name, async () => {
    const cluster = await openTestCluster({ zones: ["a", "b", "c", "d"] });
    const { members, agenda, clock } = cluster;
    try {
      const { fragment } = journalSpec(JOURNAL);
      const spec = journalSpec(JOURNAL, { replication, fragment: { ...fragment, stores: [] } });
      await cluster.within(applySpec(members[0]!.transport, spec));
      await agenda.advance(3000);
      const { route } = await cluster.within(getJournal(members[0]!.transport, JOURNAL, never));
      const suffixes = route.members.map(({ suffix }) => suffix);
      const primary = members.find(({ id }) => id.suffix === suffixes[0])!;
      const replica = members.find(({ id }) => id.suffix === suffixes[1]);
      const chosen = { primary: [primary], replica: replica === undefined ? [] : [replica], all: members }[
        slow
      ];
      const disks = chosen.map(({ spools }) => spools as FakeSpools);
      for (const disk of disks) disk.isHeld = true;
      const suspended = primary.transport.append(
        newAppendRequest({ journal: JOURNAL, suspend: "SUSPEND_NOW" }),
        { kind: "bytes", bytes: [] },
        never,
      );
      const ports = (transport: typeof primary.transport) => ({ transport, clock, logger: silentLogger });
      const options = { patienceMs: 60_000 };
      const outcome = append(ports(primary.transport), JOURNAL, [utf8(SLOW)], options, never).catch(
        (thrown: unknown) => WireError.from(thrown),
      );
      await cluster.within(suspended);
      // The leader removes the assignment meanwhile, and upkeep has its turn.
      await agenda.advance(stallMs);
      for (const disk of disks) {
        disk.isHeld = false;
        disk.flush();
      }
      const slowOutcome = await cluster.within(outcome, 120_000);
      if (slowOutcome instanceof WireError) assert.equal(slowOutcome.code, "OUTCOME_UNKNOWN");
      if (dies) primary.kill();
      const others = members.filter((member) => member !== primary);
      if (dies && replication === 1) {
        // Nobody else has it: the journal waits for its broker.
        const impatient = { patienceMs: 10_000 };
        await assert.rejects(
          cluster.within(append(ports(others[0]!.transport), JOURNAL, [utf8("!")], impatient, never), 60_000),
        );
        return;
      }
      const next = await cluster.within(
        append(ports(others[0]!.transport), JOURNAL, [utf8("!")], options, never),
        90_000,
      );
      const alive = dies ? others : members;
      for (const { transport } of alive) {
        const all = text(await cluster.within(readAll(transport, readRequest(JOURNAL), never)));
        assert.ok(all === `${SLOW}!` || (slowOutcome instanceof WireError && all === "!"), all);
      }
      assert.ok(next.end <= SLOW.length + 1);
    } finally {
      await cluster.close();
    }
  });
}
