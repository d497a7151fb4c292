// The index and its cover sets against models: arrays of covered offsets, and the set built anew each time.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addCover, coverDifference, longestOverlapping, type Span } from "./fragment-index-cover.ts";
import { FragmentIndex, remoteEntry, type FragmentEntry, type RemoteEntry } from "./fragment-index.ts";
import { localFragmentOf, remoteFragmentOf } from "./fragment-index-testkit.ts";

const SPACE = 60;
const span = fc
  .tuple(fc.nat(SPACE), fc.nat(SPACE))
  .map(([a, b]): Span => ({ begin: Math.min(a, b), end: Math.max(a, b) }));
const anySpans = fc.array(span, { maxLength: 25 });

function coverOf<T extends Span>(all: Iterable<T>): T[] {
  const set: T[] = [];
  for (const one of all) addCover(set, one);
  return set;
}

function offsetsOf(set: Iterable<Span>): boolean[] {
  const covered = Array.from({ length: SPACE }, () => false);
  for (const { begin, end } of set) covered.fill(true, begin, end);
  return covered;
}

test("cover set: covers the same offsets as all spans, holds no span twice, keeps exactly the maximal ones", () => {
  fc.assert(
    fc.property(anySpans, (all) => {
      const set = coverOf(all);
      assert.deepEqual(offsetsOf(set), offsetsOf(all));
      for (let i = 1; i < set.length; i++) {
        assert.ok(set[i - 1]!.begin < set[i]!.begin && set[i - 1]!.end < set[i]!.end);
      }
      const key = ({ begin, end }: Span): string => `${begin}-${end}`;
      const maximal = all.filter(
        (a) => a.begin < a.end && !all.some((b) => b.begin <= a.begin && b.end >= a.end && key(a) !== key(b)),
      );
      assert.deepEqual(new Set(set.map(key)), new Set(maximal.map(key)));
    }),
    { numRuns: 500 },
  );
});

test("longestOverlapping: as a linear search finds it", () => {
  fc.assert(
    fc.property(anySpans, fc.nat(SPACE), (all, offset) => {
      const set = coverOf(all);
      const holding = set.filter(({ begin, end }) => begin <= offset && offset < end);
      const { index, found } = longestOverlapping(set, offset);
      assert.equal(found, holding.length > 0);
      if (found) assert.equal(set[index]!.end, Math.max(...holding.map(({ end }) => end)));
      else assert.equal(index, set.filter(({ end }) => end <= offset).length);
    }),
    { numRuns: 500 },
  );
});

test("coverDifference: exactly the spans with an offset that the other set does not cover", () => {
  fc.assert(
    fc.property(anySpans, anySpans, (left, right) => {
      const a = coverOf(left);
      const b = coverOf(right);
      const covered = offsetsOf(b);
      const expected = a.filter(({ begin, end }) => covered.slice(begin, end).includes(false));
      assert.deepEqual(coverDifference(a, b), expected);
    }),
    { numRuns: 500 },
  );
});

type Step =
  | { kind: "grow"; bytes: number }
  | { kind: "roll" }
  | { kind: "release"; index: number }
  | { kind: "confirm"; span: Span }
  | { kind: "refresh"; spans: Span[] };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("grow" as const), bytes: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constant("roll" as const) }),
  fc.record({ kind: fc.constant("release" as const), index: fc.nat(4) }),
  fc.record({ kind: fc.constant("confirm" as const), span }),
  fc.record({ kind: fc.constant("refresh" as const), spans: anySpans }),
);

test("index: any order of growth, rolls, releases, confirmations and refreshes -> as built anew", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const index = new FragmentIndex();
      let locals: { begin: number; end: number }[] = [{ begin: 0, end: 0 }];
      let listed: RemoteEntry[] = [];
      let confirmed: RemoteEntry[] = [];
      for (const one of steps) {
        const last = locals.at(-1)!;
        if (one.kind === "grow")
          locals = [...locals.slice(0, -1), { begin: last.begin, end: last.end + one.bytes }];
        if (one.kind === "roll") locals = [...locals, { begin: last.end, end: last.end }];
        if (one.kind === "release" && one.index < locals.length - 1) locals = locals.toSpliced(one.index, 1);
        if (one.kind === "confirm") {
          const entry = entryOf(one.span);
          confirmed = [...confirmed, entry];
          listed = coverOf([...listed, entry]);
          index.confirm(entry, 0);
        } else if (one.kind === "refresh") {
          const entries = one.spans.map(entryOf);
          const names = new Set(entries.map(nameOf));
          confirmed = confirmed.filter((entry) => !names.has(nameOf(entry)));
          listed = coverOf([...entries, ...confirmed]);
          index.setRemote(entries, 0);
        } else index.setLocal(locals.map((fields) => localFragmentOf(fields)));
        check(
          index,
          listed,
          locals.filter(({ begin, end }) => end > begin),
        );
      }
    }),
    { numRuns: 300 },
  );
});

const nameOf = ({ begin, end }: Span): string => `${begin}-${end}`;
const entryOf = ({ begin, end }: Span): RemoteEntry => remoteEntry(remoteFragmentOf({ begin, end }));

function check(index: FragmentIndex, listed: readonly RemoteEntry[], locals: readonly Span[]): void {
  const model = coverOf<Span>([...listed, ...coverDifference(locals, listed)]);
  const entries: FragmentEntry[] = [...index.entries()];
  assert.deepEqual(entries.map(nameOf), model.map(nameOf));
  for (let offset = 0; offset <= SPACE; offset += 3) {
    assert.deepEqual(index.find(offset), longestOverlapping(model, offset), String(offset));
  }
}
