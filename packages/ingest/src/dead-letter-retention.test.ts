import assert from "node:assert/strict";
import { test } from "node:test";

import { silentLogger, WireError } from "@millrace/base";

import type { FragmentPolicy } from "./cleanup-fragments.ts";
import { DeadLetterJournals } from "./dead-letter-journals.ts";
import { trimLetters } from "./dead-letter-retention.ts";
import { letterStateKey, loadLetterState, putLetterState } from "./dead-letter-state.ts";
import { DEFAULT_DEAD_LETTERS, deadLetterJournal, type EffectiveSink } from "./definitions.ts";
import { Fixture } from "./pipeline-fixture.ts";
import { TEMPLATE } from "./pipeline-world.ts";

const DAY_MS = 24 * 3_600_000;

test("letters are trimmed: replayed ones at once, others by their sink's policy, by who owns the sink", async () => {
  const fixture = await Fixture.open();
  const { store, journals: transport, catalog, clock, random, signal } = fixture;
  const kept = { isEnabled: true, keptMs: 5 * DAY_MS, keptBytes: 7 };
  const sinks: EffectiveSink[] = [
    fixture.sink({ sinkId: "one", deadLetters: kept }),
    fixture.sink({ sinkId: "reborn", incarnation: 1 }),
    fixture.sink({ sinkId: "theirs" }),
    fixture.sink({ sinkId: "asleep" }),
  ];
  const registry = new DeadLetterJournals({ store, transport, catalog, clock, random }, TEMPLATE);
  for (const sink of sinks) await fixture.during(registry.ensure(sink, signal));
  const [one, reborn, , asleep] = sinks;
  const stored = await loadLetterState(store, one!, signal);
  const state = { ...stored!.state, position: { offset: 4000, index: 2, filter: [] } };
  await putLetterState(store, letterStateKey(one!), { ...stored!, state }, signal);
  fixture.sink({ sinkId: "reborn", incarnation: 2, deadLetters: kept }); // its letters are of an earlier life

  const trims: [journal: string, imported: number, policy: FragmentPolicy][] = [];
  const ports = { store, transport, catalog, clock, logger: silentLogger };
  const share = { owns: (path: string) => !path.endsWith("/theirs"), observe: () => () => undefined };
  const trimmer = {
    trim: (journals: readonly { journal: string; imported: number }[], policy: FragmentPolicy) => {
      const [{ journal, imported } = { journal: "", imported: 0 }] = journals;
      if (journal === deadLetterJournal(asleep!)) throw new WireError("SUSPENDED", "it sleeps");
      const { keptMs, keptBytes } = policy;
      trims.push([journal, imported, { keptMs, keptBytes }]);
      return Promise.resolve({ removed: 1, againMs: undefined });
    },
  };
  assert.equal(await trimLetters({ ...ports, share, trimmer }, new Map(), signal), 4);
  const all = Number.MAX_SAFE_INTEGER;
  const now = { keptMs: 0, keptBytes: 0 };
  const { keptMs, keptBytes } = DEFAULT_DEAD_LETTERS;
  assert.deepEqual(trims, [
    [deadLetterJournal(one!), 4000, now],
    [deadLetterJournal(one!), all, { keptMs: 5 * DAY_MS, keptBytes: 7 }],
    [deadLetterJournal(reborn!), 0, now],
    [deadLetterJournal(reborn!), all, { keptMs, keptBytes }],
  ]);
});
