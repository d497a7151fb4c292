// The activation machine: what each input means in each state, and the ways of an attempt.
import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError } from "@millrace/base";
import { labelSet } from "@millrace/protocol";
import {
  startActivation,
  stepActivation,
  type ActivationInput,
  type ActivationState,
  type ActivationStep,
  type Attempt,
} from "./holders-activation.ts";
import type { HoldersList } from "./holders-list.ts";

const ATTEMPT: Attempt = {
  epoch: 9,
  stream: 2,
  self: "a",
  members: ["a", "b"],
  isMixed: false,
  isEarly: false,
};
const HELD: HoldersList = { segments: [{ epoch: 5, begin: 3, members: ["b", "c"] }], tail: { kind: "held" } };
const VOID: HoldersList = { segments: [], tail: { kind: "void", begin: 3 } };
const REGISTERS = labelSet(["author", "a"]);

const read = (list: HoldersList | undefined, readAt = 9): ActivationInput => ({
  kind: "list-read",
  list,
  listRevision: list === undefined ? 0 : 6,
  readAt,
});
const FENCED: Extract<ActivationInput, { kind: "fenced" }> = {
  kind: "fenced",
  whole: 0,
  member: "c",
  held: { base: 0, confirmed: 4, end: 6 },
};
const brought = (member: string, base = 0): ActivationInput => ({ kind: "brought", member, base });
const gone = (member: string): ActivationInput => ({ kind: "unreachable", member });
const written = (outcome: "done" | "conflict" | "unknown"): ActivationInput => ({
  kind: "list-written",
  outcome,
  listRevision: 10,
});

function after(...inputs: ActivationInput[]): ActivationStep {
  let step = startActivation(ATTEMPT);
  for (const input of inputs) step = stepActivation(step[0], input);
  return step;
}

const STATES: Record<ActivationState["kind"], ActivationState> = {
  reading: after()[0],
  fencing: after(read(HELD))[0],
  asking: after(read(VOID))[0],
  bringing: after(read(HELD), FENCED)[0],
  recording: after(read(HELD), FENCED, brought("a"), brought("b"))[0],
  active: after(read(HELD), FENCED, brought("a"), brought("b"), written("done"))[0],
  blocked: after(read(HELD), gone("b"), gone("c"))[0],
  abandoned: after({ kind: "route-changed" })[0],
};
const INPUTS: Record<ActivationInput["kind"], ActivationInput> = {
  "list-read": read(HELD),
  fenced: FENCED,
  presented: { kind: "presented", member: "a", end: 5, sure: [{ begin: 3, end: 4 }] },
  brought: brought("a"),
  unreachable: gone("b"),
  refused: { kind: "refused", member: "b" },
  "list-written": written("done"),
  "route-changed": { kind: "route-changed" },
};
/** The state that follows; `bug`: the shell may not say that. */
type Expected = ActivationState["kind"] | "bug";
const ended = (kind: Expected): Record<ActivationInput["kind"], Expected> => ({
  "list-read": kind,
  fenced: kind,
  presented: kind,
  brought: kind,
  unreachable: kind,
  refused: kind,
  "list-written": kind,
  "route-changed": kind,
});
const OVER = { refused: "abandoned", "route-changed": "abandoned" } as const;
const TABLE: Record<ActivationState["kind"], Record<ActivationInput["kind"], Expected>> = {
  reading: { ...ended("bug"), ...OVER, "list-read": "fencing" },
  fencing: { ...ended("bug"), ...OVER, fenced: "bringing", unreachable: "fencing" },
  asking: { ...ended("bug"), ...OVER, presented: "asking", unreachable: "abandoned" },
  bringing: { ...ended("bug"), ...OVER, fenced: "bringing", brought: "bringing", unreachable: "abandoned" },
  recording: {
    ...ended("bug"),
    ...OVER,
    fenced: "recording",
    unreachable: "recording",
    "list-written": "active",
  },
  active: { ...ended("bug"), ...OVER, fenced: "active", unreachable: "active" },
  blocked: ended("blocked"),
  abandoned: ended("abandoned"),
};
for (const [state, row] of Object.entries(TABLE)) {
  for (const [input, want] of Object.entries(row)) {
    test(`activation: ${input} while ${state} -> ${want}`, () => {
      const step = (): ActivationStep =>
        stepActivation(STATES[state as ActivationState["kind"]], INPUTS[input as ActivationInput["kind"]]);
      if (want === "bug") assert.throws(step, InvariantError);
      else assert.equal(step()[0].kind, want);
    });
  }
}

test("activation: a held list -> its holders are fenced, the first answer is brought to all", () => {
  assert.deepEqual(after(read(HELD))[1], [
    { kind: "fence", member: "b" },
    { kind: "fence", member: "c" },
  ]);
  const bring = { kind: "bring", begin: 4, end: 6, source: "c", registers: undefined } as const;
  assert.deepEqual(after(read(HELD), FENCED)[1], [
    { ...bring, member: "a" },
    { ...bring, member: "b" },
  ]);
  const next: HoldersList = {
    segments: [...HELD.segments, { epoch: 9, begin: 4, members: ["a", "b"] }],
    tail: { kind: "held" },
  };
  assert.deepEqual(after(read(HELD), FENCED, brought("b"), brought("a"))[1], [
    { kind: "write-list", next, listRevision: 6 },
  ]);
  const [active] = after(read(HELD), FENCED, brought("b"), brought("a"), written("done"));
  assert.deepEqual(active, { kind: "active", attempt: ATTEMPT, list: next, listRevision: 10, confirmed: 6 });
});

const BEGINS: readonly (readonly [string, number, base: number, confirmed: number])[] = [
  ["forgot all -> the segment's begin", 3, 0, 0],
  ["knows more -> that", 5, 0, 5],
  ["gave bytes up to the store -> behind them", 6, 6, 0],
];
for (const [what, begin, base, confirmed] of BEGINS) {
  test(`activation: a holder that ${what}`, () => {
    const [state] = after(read(HELD), { ...FENCED, member: "b", held: { base, confirmed, end: 6 } });
    assert.ok(state.kind === "bringing" && state.begin === begin && state.end === 6);
  });
}

test("activation: a holder that has less than is acknowledged -> our bug, never a shorter journal", () => {
  const short: ActivationInput = { ...FENCED, member: "b", held: { base: 0, confirmed: 0, end: 2 } };
  assert.throws(() => after(read(HELD), short), InvariantError);
});

test("activation: a member that knew bytes for acknowledged and has none -> the segment begins behind them", () => {
  const forgot: ActivationInput = { ...FENCED, held: { base: 0, confirmed: 0, end: 6 } };
  const [state] = after(read(HELD), forgot, brought("a", 5), brought("b", 0));
  assert.equal(state.kind, "recording");
  if (state.kind !== "recording") return;
  const { epoch, members } = ATTEMPT;
  assert.deepEqual(state.next.segments, [HELD.segments[0], { epoch, begin: 5, members }]);
  // Who has nothing at all of it begins at the end.
  const [bare] = after(read(HELD), forgot, brought("a", 7), brought("b", 0));
  assert.ok(bare.kind === "recording" && bare.next.segments.at(-1)!.begin === 6);
});

test("activation: no list, or a closed one -> no holder is asked; all begin at its end, with its registers", () => {
  const none = { kind: "bring", begin: 0, end: 0, source: undefined, registers: undefined } as const;
  assert.deepEqual(
    after(read(undefined))[1],
    ATTEMPT.members.map((member) => ({ ...none, member })),
  );
  const list: HoldersList = { segments: [], tail: { kind: "closed", end: 7, registers: REGISTERS } };
  const bring = { ...none, begin: 7, end: 7, registers: REGISTERS };
  assert.deepEqual(
    after(read(list))[1],
    ATTEMPT.members.map((member) => ({ ...bring, member })),
  );
});

test("activation: a list read below the epoch -> read again; newer -> overtaken; mixed -> marked first", () => {
  assert.deepEqual(after(read(HELD, 8)), [
    { kind: "reading", attempt: ATTEMPT },
    [{ kind: "read-list", atLeast: 9 }],
  ]);
  const newer: HoldersList = { ...HELD, segments: [{ epoch: 10, begin: 3, members: ["b"] }] };
  assert.deepEqual(after(read(newer))[0], { kind: "abandoned", attempt: ATTEMPT, why: "overtaken" });
  const mixed = { ...ATTEMPT, isMixed: true };
  const [unmarked] = stepActivation(startActivation(mixed)[0], read(HELD));
  assert.deepEqual(unmarked, { kind: "abandoned", attempt: mixed, why: "unmarked" });
});

test("activation: no holder answers -> blocked, saying whom it waits for", () => {
  assert.deepEqual(STATES.blocked, { kind: "blocked", attempt: ATTEMPT, holders: ["b", "c"] });
});

test("activation: a write refused, or of unknown outcome -> anew from the list", () => {
  const recorded = [read(HELD), FENCED, brought("a"), brought("b")];
  for (const outcome of ["conflict", "unknown"] as const) {
    assert.deepEqual(after(...recorded, written(outcome))[0], {
      kind: "abandoned",
      attempt: ATTEMPT,
      why: "again",
    });
  }
});

test("activation: a void list -> all members are asked, and go on at the largest end; who has what is listed", () => {
  const answers: ActivationInput[] = [
    { kind: "presented", member: "a", end: 5, sure: [{ begin: 3, end: 4 }] },
    { kind: "presented", member: "b", end: 0, sure: [] },
  ];
  assert.deepEqual(
    after(read(VOID))[1],
    ATTEMPT.members.map((member) => ({ kind: "ask", member })),
  );
  const bring = { kind: "bring", begin: 5, end: 5, source: "a", registers: undefined } as const;
  assert.deepEqual(
    after(read(VOID), ...answers)[1],
    ATTEMPT.members.map((member) => ({ ...bring, member })),
  );
  const [state] = after(read(VOID), ...answers, brought("a"), brought("b"));
  assert.ok(state.kind === "recording");
  assert.deepEqual(state.next.segments, [
    { epoch: 9, begin: 3, members: ["a"] },
    { epoch: 9, begin: 5, members: ["a", "b"] },
  ]);
});

test("activation: a void list on a mixed route -> active without a write, the list stays void", () => {
  let [state] = startActivation({ ...ATTEMPT, isMixed: true });
  const inputs: ActivationInput[] = [
    read(VOID),
    ...ATTEMPT.members.map((member) => ({ kind: "presented" as const, member, end: 0, sure: [] })),
    brought("a"),
    brought("b"),
  ];
  for (const input of inputs) [state] = stepActivation(state, input);
  assert.ok(state.kind === "active" && state.list === VOID && state.confirmed === 3);
});

const LOOSE: HoldersList = {
  segments: [{ epoch: 5, begin: 3, members: ["b", "c"], loose: true }],
  tail: { kind: "held" },
};
const fenced = (member: string, end: number, whole: number): ActivationInput => ({
  kind: "fenced",
  whole,
  member,
  held: { base: 0, confirmed: 3, end },
});
const sourceOf = ([state, effects]: ActivationStep): unknown => {
  const [first] = effects;
  return first?.kind === "bring" ? [first.source, first.end] : state.kind;
};

test("activation: a loose segment -> the first member that is whole, whoever restarted and has less or more", () => {
  assert.deepEqual(sourceOf(after(read(LOOSE), fenced("b", 9, 5))), ["b", 9]);
  assert.deepEqual(sourceOf(after(read(LOOSE), fenced("b", 9, 6))), ["b", 9]);
  for (const end of [4, 12]) {
    assert.equal(sourceOf(after(read(LOOSE), fenced("b", end, 0))), "fencing");
    assert.deepEqual(sourceOf(after(read(LOOSE), fenced("b", end, 4), fenced("c", 9, 5))), ["c", 9]);
  }
});

test("activation: a loose segment, nobody is whole -> all members have to answer, and the largest end wins", () => {
  assert.deepEqual(sourceOf(after(read(LOOSE), fenced("b", 4, 0), fenced("c", 9, 0))), ["c", 9]);
  assert.deepEqual(sourceOf(after(read(LOOSE), fenced("b", 10, 4), fenced("c", 9, 0))), ["b", 10]);
  for (const inputs of [
    [fenced("b", 4, 0), gone("c")],
    [gone("c"), fenced("b", 4, 0)],
  ]) {
    const [state] = after(read(LOOSE), ...inputs);
    assert.deepEqual(state, { kind: "blocked", attempt: ATTEMPT, holders: ["b", "c"] });
  }
});

test("activation: a segment listed anew -> its members are brought from its begin, or behind the store", () => {
  const segments = [{ ...LOOSE.segments[0]!, begin: 0, relisted: true as const }];
  const anew: HoldersList = { segments, tail: { kind: "held" } };
  for (const base of [0, 2]) {
    const known: ActivationInput = {
      kind: "fenced",
      whole: 0,
      member: "c",
      held: { base, confirmed: 8, end: 9 },
    };
    const [, [first]] = after(read(anew), fenced("b", 4, 0), known);
    assert.ok(first?.kind === "bring");
    assert.deepEqual([first.source, first.begin, first.end], ["c", base, 9]);
  }
});

test("activation: the level asks for no syncs -> the segment is loose, unless it has one member or is mixed", () => {
  const writtenBy = (fields: Partial<Attempt>): unknown => {
    const attempt = { ...ATTEMPT, isEarly: true, ...fields };
    let [state] = stepActivation(startActivation(attempt)[0], read(undefined));
    for (const member of attempt.members) [state] = stepActivation(state, brought(member));
    return state.kind === "recording" ? state.next.segments[0]!.loose : state.kind;
  };
  assert.equal(writtenBy({}), true);
  assert.equal(writtenBy({ isEarly: false }), undefined);
  assert.equal(writtenBy({ members: ["a"] }), undefined);
});

const RESET = { offset: 2, knownEnd: 2 };
const lost = (member: string): ActivationInput => ({ kind: "unreachable", member, isGone: true });

function reset(reset: Attempt["reset"], ...inputs: ActivationInput[]): ActivationStep {
  let step = startActivation({ ...ATTEMPT, reset });
  for (const input of inputs) step = stepActivation(step[0], input);
  return step;
}

test("reset: all holders are gone -> everybody goes on where the segment began, they are named no more", () => {
  const [bringing, effects] = reset(RESET, read(HELD), lost("b"), lost("c"));
  assert.equal(bringing.kind, "bringing");
  const bring = { kind: "bring", begin: 3, end: 3, source: undefined, registers: undefined } as const;
  assert.deepEqual(effects, [
    { ...bring, member: "a" },
    { ...bring, member: "b" },
  ]);
  const [recording] = reset(RESET, read(HELD), lost("b"), lost("c"), brought("a"), brought("b"));
  assert.ok(recording.kind === "recording");
  assert.deepEqual(recording.givenUp, ["b", "c"]);
  assert.deepEqual(recording.next, {
    segments: [{ epoch: 9, begin: 3, members: ["a", "b"] }],
    tail: { kind: "held" },
  });
});

test("reset: a holder that somebody announces does not answer -> blocked", () => {
  assert.equal(reset(RESET, read(HELD), lost("b"), gone("c"))[0].kind, "blocked");
  assert.equal(reset(RESET, read(HELD), gone("b"), lost("c"))[0].kind, "blocked");
});

test("reset: a holder answers -> nothing is given up", () => {
  const [state] = reset(RESET, read(HELD), lost("b"), FENCED);
  assert.ok(state.kind === "bringing");
  assert.deepEqual([state.begin, state.end, state.givenUp], [4, 6, []]);
});

test("reset: some of a loose segment answer, the others are gone -> the largest end wins", () => {
  const segments = [{ epoch: 5, begin: 3, members: ["b", "c", "d"], loose: true as const }];
  const loose: HoldersList = { segments, tail: { kind: "held" } };
  const shorter = { ...FENCED, member: "b", held: { base: 0, confirmed: 0, end: 4 } };
  const [state] = reset(RESET, read(loose), shorter, FENCED, lost("d"));
  assert.ok(state.kind === "bringing");
  assert.deepEqual([state.begin, state.end, state.givenUp], [4, 6, ["d"]]);
  assert.equal(after(read(loose), shorter, FENCED, lost("d"))[0].kind, "blocked");
});

for (const [what, offset, knownEnd, want] of [
  ["below what is stored", 4, 5, "blocked"],
  ["where what is stored ends, beyond the segment's begin", 5, 5, "bringing"],
  ["where the segment begins", 3, 1, "bringing"],
  ["beyond what anybody can know", 6, 5, "blocked"],
  ["none, and nothing is stored", 0, 0, "bringing"],
  ["none, and something is", 0, 2, "blocked"],
] as const) {
  test(`reset: the offset is ${what} -> ${want}`, () => {
    assert.equal(reset({ offset, knownEnd }, read(HELD), lost("b"), lost("c"))[0].kind, want);
  });
}

test("reset: no list, or none that can be read -> one is written first; without a reset blocked, or begun", () => {
  const unreadable: ActivationInput = { kind: "list-read", list: "unreadable", listRevision: 6, readAt: 9 };
  for (const input of [unreadable, read(undefined)]) {
    const [state] = reset(RESET, input);
    assert.ok(state.kind === "abandoned");
    assert.equal(state.why, "unlisted");
  }
  assert.equal(after(unreadable)[0].kind, "blocked");
  assert.equal(after(read(undefined))[0].kind, "bringing");
});
