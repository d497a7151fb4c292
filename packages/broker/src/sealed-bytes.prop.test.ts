import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { segmentEnd, validateHolders, type HoldersList, type Range } from "./holders-list.ts";
import { judgeBytes } from "./sealed-bytes.ts";

const HELD: HoldersList = {
  segments: [
    { epoch: 1, begin: 0, members: ["a", "b"] },
    { epoch: 2, begin: 3, members: ["b"] },
    { epoch: 3, begin: 5, members: ["a"] },
  ],
  tail: { kind: "held" },
};
const range = (begin: number, end: number): Range => ({ begin, end });

test("sealed bytes: no list -> everything to quarantine", () => {
  const judged = judgeBytes(undefined, "a", [range(0, 4)]);
  assert.deepEqual(judged, { acknowledged: [], held: [], quarantine: [range(0, 4)] });
});

test("sealed bytes: leftovers in others' segments -> quarantine; in the newest -> held", () => {
  assert.deepEqual(judgeBytes(HELD, "a", [range(0, 8)]), {
    acknowledged: [range(0, 3)],
    held: [range(5, 8)],
    quarantine: [range(3, 5)],
  });
  assert.deepEqual(judgeBytes(HELD, "b", [range(1, 8)]), {
    acknowledged: [range(1, 5)],
    held: [],
    quarantine: [range(5, 8)],
  });
});

test("sealed bytes: beyond where a list is void -> kept until one follows", () => {
  const list: HoldersList = { segments: HELD.segments.slice(0, 1), tail: { kind: "void", begin: 3 } };
  const judged = judgeBytes(list, "c", [range(1, 5)]);
  assert.deepEqual(judged, { acknowledged: [], held: [range(3, 5)], quarantine: [range(1, 3)] });
});

test("sealed bytes: what this process knows to be acknowledged -> counts, whatever the list says", () => {
  assert.deepEqual(judgeBytes(HELD, "a", [range(2, 8)], [range(4, 6)]), {
    acknowledged: [range(2, 3), range(4, 6)],
    held: [range(6, 8)],
    quarantine: [range(3, 4)],
  });
});

const spans = fc
  .uniqueArray(fc.nat({ max: 20 }), { maxLength: 8 })
  .map((cuts) => cuts.sort((a, b) => a - b))
  .map((cuts) =>
    cuts.flatMap((begin, i) => (i % 2 === 0 && i + 1 < cuts.length ? [range(begin, cuts[i + 1]!)] : [])),
  );
const members = fc.subarray(["a", "b", "c"], { minLength: 1 });
const list: fc.Arbitrary<HoldersList> = fc
  .tuple(
    fc.uniqueArray(fc.nat({ max: 20 }), { maxLength: 4 }),
    fc.array(members, { minLength: 4, maxLength: 4 }),
    fc.constantFrom("held", "void" as const),
  )
  .map(([begins, who, kind]): HoldersList => {
    const segments = begins.sort((a, b) => a - b).map((begin, i) => ({ epoch: i, begin, members: who[i]! }));
    return { segments, tail: kind === "held" ? { kind } : { kind: "void", begin: 21 } };
  })
  .filter((made) => validateHolders(made) === undefined);

test("sealed bytes: any bytes and list -> each byte is judged once, as its segment says", () => {
  fc.assert(
    fc.property(spans, list, (local, made) => {
      const { acknowledged, held, quarantine } = judgeBytes(made, "a", local);
      const has = (ranges: readonly Range[], at: number): boolean =>
        ranges.some((r) => r.begin <= at && at < r.end);
      for (let at = 0; at < 22; at++) {
        const i = made.segments.findLastIndex(({ begin }) => begin <= at);
        const end = i < 0 ? 0 : (segmentEnd(made, i) ?? Infinity);
        const isMember = i >= 0 && at < end && made.segments[i]!.members.includes("a");
        const want = !has(local, at)
          ? "none"
          : !isMember
            ? "quarantine"
            : end === Infinity
              ? "held"
              : "acknowledged";
        const got = Object.entries({ acknowledged, held, quarantine }).filter(([, ranges]) =>
          has(ranges, at),
        );
        assert.deepEqual(got.map(([name]) => name).join() || "none", want, `offset ${at}`);
      }
    }),
  );
});
