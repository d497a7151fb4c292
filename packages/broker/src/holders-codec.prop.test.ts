// The codec of holders lists: golden values, round trips, and whatever else may stand at the key.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { InvariantError, text, utf8, WireError } from "@millrace/base";
import { labelSet } from "@millrace/protocol";
import fc from "fast-check";
import { decodeHolders, encodeHolders, holdersKey, type StoredHolders } from "./holders-codec.ts";
import { validateHolders, type HoldersTail, type Segment } from "./holders-list.ts";
import { HOLDERS_BYTES_MAX } from "./limits.ts";

const golden = readFileSync(new URL("../src/holders-codec.golden.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line.startsWith("{"));

const whole = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const tail: fc.Arbitrary<HoldersTail> = fc.oneof(
  fc.constant({ kind: "held" } as const),
  whole.map((begin) => ({ kind: "void", begin }) as const),
  fc
    .tuple(whole, fc.array(fc.tuple(fc.string(), fc.string()), { maxLength: 4 }))
    .map(([end, pairs]) => ({ kind: "closed", end, registers: labelSet(...pairs) }) as const),
);
const segment = fc
  .tuple(
    whole,
    whole,
    fc.uniqueArray(fc.stringMatching(/^[0-9a-f]{1,64}$/), { minLength: 1, maxLength: 5 }),
    fc.constantFrom({}, { loose: true as const }, { loose: true as const, relisted: true as const }),
  )
  .map(([epoch, begin, members, marks]): Segment => ({ epoch, begin, members, ...marks }));
const segments = fc
  .array(segment, { maxLength: 5 })
  .map((all) => all.toSorted((a, b) => a.begin - b.begin || a.epoch - b.epoch));
const stored = fc.tuple(whole, segments, tail).map(([createRevision, all, last]): StoredHolders => ({
  createRevision,
  list: { segments: all, tail: last },
}));

const isCorrupt = (error: unknown): boolean => error instanceof WireError && error.code === "CORRUPT";

test("holders codec: golden values -> read and written as they are", () => {
  assert.equal(golden.length, 4);
  for (const line of golden) assert.equal(text(encodeHolders(decodeHolders(utf8(line)))!), line);
});

const plainTail = (tail: HoldersTail): unknown =>
  tail.kind === "closed"
    ? { ...tail, registers: tail.registers.labels.map(({ name, value }) => [name, value]) }
    : tail;

test("holders codec: any list -> comes back when it is well formed, else it is neither written nor read", () => {
  fc.assert(
    fc.property(stored, (value) => {
      if (validateHolders(value.list) === undefined) {
        assert.deepEqual(decodeHolders(encodeHolders(value)!), value);
      } else {
        assert.throws(() => encodeHolders(value), InvariantError);
        const { createRevision, list } = value;
        const { segments, tail } = list;
        const bytes = utf8(JSON.stringify({ version: 1, createRevision, segments, tail: plainTail(tail) }));
        assert.throws(() => decodeHolders(bytes), isCorrupt);
      }
    }),
  );
});

test("holders codec: values changed, cut or foreign -> CORRUPT, or a well-formed list", () => {
  const edited = fc
    .tuple(fc.constantFrom(...golden), fc.nat({ max: 200 }), fc.nat({ max: 4 }), fc.string({ maxLength: 3 }))
    .map(([line, at, cut, added]) => utf8(line.slice(0, at) + added + line.slice(at + cut)));
  const foreign = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.json().map(utf8), edited);
  fc.assert(
    fc.property(foreign, (bytes) => {
      try {
        assert.equal(validateHolders(decodeHolders(bytes).list), undefined);
      } catch (error) {
        assert.ok(isCorrupt(error), String(error));
      }
    }),
    { numRuns: 1000 },
  );
});

const REFUSED: readonly (readonly [RegExp, string])[] = [
  [/version 2 is not known/, golden[0]!.replace('"version":1', '"version":2')],
  [/field "more" that is not known/, golden[0]!.replace('"version":1', '"version":1,"more":1')],
  [/createRevision -1 out of range/, golden[0]!.replace('"createRevision":7', '"createRevision":-1')],
  [/begin 9007199254740992 out of range/, golden[0]!.replace("4740991", "4740992")],
  [/field "begin" that is not known/, golden[2]!.replace('"void"', '"held"')],
  [/tail "idle" is not known/, golden[2]!.replace('"void"', '"idle"')],
  [/longer than 64 characters/, golden[2]!.replace("6f1c", "a".repeat(65))],
  [
    /members has 33 entries/,
    golden[2]!.replace('"6f1c"', Array.from({ length: 33 }, (_, i) => `"${i}"`).join()),
  ],
  [/it is not JSON/, "{"],
];
test("holders codec: each field -> refused by its name", () => {
  for (const [want, line] of REFUSED) assert.throws(() => decodeHolders(utf8(line)), { message: want });
  assert.throws(() => decodeHolders(new Uint8Array(HOLDERS_BYTES_MAX + 1)), { message: /65537 bytes/ });
});

test("holders codec: a list or registers too large -> no value", () => {
  const segments = Array.from({ length: 257 }, (_, i) => ({ epoch: 1, begin: i, members: ["a"] }));
  assert.equal(encodeHolders({ createRevision: 1, list: { segments, tail: { kind: "held" } } }), undefined);
  const registers = labelSet(["a", "b".repeat(HOLDERS_BYTES_MAX)]);
  const list = { segments: [], tail: { kind: "closed", end: 1, registers } } as const;
  assert.equal(encodeHolders({ createRevision: 1, list }), undefined);
});

test("holders key: outside the root, one for each journal and root", () => {
  assert.equal(holdersKey("/gazette/cluster", "a/b"), "!millrace/holders#/gazette/cluster#a/b");
  assert.throws(() => holdersKey("!millrace/holders", "a"), { code: "INVALID_ARGUMENT" });
});
