import assert from "node:assert/strict";
import { test } from "node:test";
import { labelSet, parseLabelSelector, type AppendPreamble, type JournalSpec } from "@millrace/protocol";
import { attempt, facts, resolution, finished, run, STATES } from "./append-fsm-testkit.ts";
import type { AppendInput, AppendState } from "./append-states.ts";
import { journalSpec, preamble } from "./broker-testkit.ts";

const factsAre = (fields: Parameters<typeof facts>[0]): AppendInput => ({
  kind: "facts-gathered",
  facts: facts(fields),
  content: "enough",
});
interface Case {
  readonly what: string;
  readonly request?: Partial<AppendPreamble>;
  readonly spec?: Partial<JournalSpec>;
  readonly facts: Parameters<typeof facts>[0];
  /** A refused status, a first effect with its offset, or both kinds of waiting. */
  readonly want: string;
}

const check = parseLabelSelector("author=me");
const theirs = labelSet(["author", "them"]);
const suspended = (level: "PARTIAL" | "NONE", offset: number | bigint): Partial<JournalSpec> => ({
  suspend: { level, offset },
});

const CASES: readonly Case[] = [
  {
    what: "first refresh is not done",
    facts: { firstRefreshDone: false },
    want: "gather-facts after-first-refresh",
  },
  {
    what: "the store is unhealthy, before anything else",
    request: { checkRegisters: check },
    facts: { storeFailure: { url: "s3://x/", reason: "down" }, registers: theirs },
    want: "gather-facts after-store-check",
  },
  {
    what: "registers do not match, before offsets",
    request: { checkRegisters: check, offset: 9 },
    facts: { registers: theirs, spoolEnd: 5 },
    want: "REGISTER_MISMATCH",
  },
  {
    what: "empty registers pass any check",
    request: { checkRegisters: check },
    facts: {},
    want: "open-append 0",
  },
  {
    what: "the spool ends below the resume offset, before the index counts",
    spec: suspended("NONE", 50),
    facts: { indexEnd: 60, spoolEnd: 10 },
    want: "sync 50",
  },
  { what: "the index is ahead", facts: { indexEnd: 60, spoolEnd: 10 }, want: "INDEX_HAS_GREATER_OFFSET" },
  {
    what: "the index is ahead of a journal that is not writable",
    spec: { flags: 1 },
    facts: { indexBegin: 5, indexEnd: 60, spoolBegin: 10, spoolEnd: 10 },
    want: "open-append 0",
  },
  { what: "wrong offset", request: { offset: 9 }, facts: { spoolEnd: 10 }, want: "WRONG_APPEND_OFFSET" },
  {
    what: "the offset is the spool's end",
    request: { offset: 10 },
    facts: { indexBegin: 1, spoolBegin: 3, spoolEnd: 10 },
    want: "open-append 0",
  },
  {
    what: "the offset is the index's end",
    request: { offset: 60 },
    facts: { indexEnd: 60, spoolEnd: 10 },
    want: "sync 60",
  },
  {
    what: "the journal resumes where no offset here can be",
    spec: suspended("NONE", 2n ** 53n),
    facts: { spoolEnd: 10 },
    want: "INDEX_HAS_GREATER_OFFSET",
  },
  {
    what: "the first known write is rolled",
    spec: { fragment: { ...journalSpec("a/journal").fragment, stores: ["file:///x/"] } },
    facts: { indexBegin: 0, indexEnd: 5, spoolBegin: 0, spoolEnd: 5 },
    want: "open-append 5",
  },
  {
    what: "the first known write of a journal without stores",
    facts: { indexBegin: 0, indexEnd: 5, spoolBegin: 0, spoolEnd: 5 },
    want: "open-append 0",
  },
  {
    what: "default append to a suspended journal resumes it",
    spec: suspended("PARTIAL", 3),
    facts: { spoolBegin: 3, spoolEnd: 7 },
    want: "update-suspend NONE 7",
  },
  {
    what: "NO_RESUME of a suspended journal",
    request: { suspend: "SUSPEND_NO_RESUME" },
    spec: suspended("PARTIAL", 3),
    facts: { spoolEnd: 7 },
    want: "SUSPENDED",
  },
  {
    what: "IF_FLUSHED without any fragment",
    request: { suspend: "SUSPEND_IF_FLUSHED" },
    facts: { spoolBegin: 7, spoolEnd: 7 },
    want: "update-suspend FULL 7",
  },
  {
    what: "NOW without any fragment here, nobody has looked for others",
    request: { suspend: "SUSPEND_NOW" },
    facts: { spoolBegin: 7, spoolEnd: 7, isHeldElsewhere: undefined },
    want: "gather-facts with-holders",
  },
  {
    what: "NOW without any fragment here, others have some",
    request: { suspend: "SUSPEND_NOW" },
    facts: { spoolBegin: 7, spoolEnd: 7, isHeldElsewhere: true },
    want: "update-suspend PARTIAL 7",
  },
  {
    what: "NOW of a suspended journal without any fragment here, others have some",
    request: { suspend: "SUSPEND_NOW" },
    spec: suspended("PARTIAL", 7),
    facts: { spoolBegin: 7, spoolEnd: 7, isHeldElsewhere: true },
    want: "open-append 0 SUSPENDED",
  },
  {
    what: "IF_FLUSHED without any fragment here, others have some",
    request: { suspend: "SUSPEND_IF_FLUSHED" },
    facts: { spoolBegin: 7, spoolEnd: 7, isHeldElsewhere: true },
    want: "open-append 0",
  },
  {
    what: "IF_FLUSHED of a journal with a local fragment",
    request: { suspend: "SUSPEND_IF_FLUSHED" },
    facts: { indexEnd: 7, spoolBegin: 5, spoolEnd: 7 },
    want: "open-append 0",
  },
  {
    what: "IF_FLUSHED of a journal persisted long ago",
    request: { suspend: "SUSPEND_IF_FLUSHED" },
    facts: { indexEnd: 7, spoolBegin: 7, spoolEnd: 7, lastModTime: 1_000_000 - 86_400 },
    want: "update-suspend PARTIAL 7",
  },
  {
    what: "NOW of a journal with a local fragment",
    request: { suspend: "SUSPEND_NOW" },
    facts: { indexEnd: 7, spoolBegin: 5, spoolEnd: 7 },
    want: "update-suspend PARTIAL 7",
  },
  {
    what: "NOW of a suspended journal with fragments",
    request: { suspend: "SUSPEND_NOW" },
    spec: suspended("PARTIAL", 7),
    facts: { indexEnd: 7, spoolBegin: 5, spoolEnd: 7 },
    want: "open-append 0 SUSPENDED",
  },
  {
    what: "KEEP of a suspended journal",
    request: { suspend: "SUSPEND_KEEP" },
    spec: suspended("PARTIAL", 7),
    facts: { indexEnd: 7, spoolBegin: 5, spoolEnd: 7 },
    want: "open-append 0",
  },
];

for (const { what, request, spec, facts: given, want } of CASES) {
  test(`append preconditions: ${what} -> ${want}`, () => {
    const state = {
      ...STATES.validating,
      attempt: attempt({
        request: preamble("a/journal", request),
        resolution: resolution({ spec: journalSpec("a/journal", spec) }),
      }),
    };
    const { state: next, effects } = run(state, factsAre(given));
    assert.equal(describe(next, effects[0]), want);
  });
}

function describe(state: AppendState, effect: ReturnType<typeof run>["effects"][number] | undefined): string {
  if (state.kind === "finished") return state.response.status;
  switch (effect?.kind) {
    case "gather-facts":
      return `gather-facts ${effect.wanted}`;
    case "sync":
      return `sync ${effect.rollTo}`;
    case "update-suspend":
      return `update-suspend ${effect.suspend.level} ${effect.suspend.offset}`;
    case "open-append": {
      const status =
        state.kind === "opening" && state.opened.barrierStatus === "SUSPENDED" ? " SUSPENDED" : "";
      return `open-append ${effect.rollTo}${status}`;
    }
    default:
      return "nothing";
  }
}

test("append preconditions: a store that stays unhealthy -> refused after five checks, with its text", () => {
  const failing = factsAre({ storeFailure: { url: "s3://x/", reason: "down" } });
  const waiting = run(STATES.validating, ...Array.from({ length: 6 }, () => failing));
  assert.equal(waiting.state.kind, "validating");
  const refused = run(waiting.state, failing);
  assert.equal(refused.state.kind, "finished");
  const { response } = finished(refused.state);
  assert.deepEqual(
    [response.status, response.storeHealthError],
    ["FRAGMENT_STORE_UNHEALTHY", "fragment store s3://x/ unhealthy: down"],
  );
  assert.equal(run(waiting.state, factsAre({})).state.kind, "opening");
});

test("append preconditions: registers that do not match -> are answered", () => {
  const state = {
    ...STATES.validating,
    attempt: attempt({ request: preamble("a/journal", { checkRegisters: check }) }),
  };
  const { state: next } = run(state, factsAre({ registers: theirs }));
  assert.deepEqual(next.kind === "finished" && next.response.registers, theirs);
});

test("append machine: reset of the offset -> refused, then an explicit offset rolls and commits", () => {
  const ahead = factsAre({ indexEnd: 60, spoolEnd: 10, spoolBegin: 10 });
  const refused = run(STATES.validating, ahead);
  assert.equal(
    refused.state.kind === "finished" && refused.state.response.status,
    "INDEX_HAS_GREATER_OFFSET",
  );
  const explicit = {
    ...STATES.validating,
    attempt: attempt({ request: preamble("a/journal", { offset: 60 }) }),
  };
  const { kinds, state } = run(
    explicit,
    ahead,
    { kind: "sync-gathered", ownEnd: 60, answers: [] },
    factsAre({ indexEnd: 60, spoolBegin: 60, spoolEnd: 60 }),
  );
  assert.deepEqual(kinds, ["sync", "gather-facts", "open-append"]);
  assert.equal(state.kind, "opening");
});
