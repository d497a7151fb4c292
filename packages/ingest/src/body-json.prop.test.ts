import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { BodyBytes, strictText, text, utf8 } from "@millrace/base";
import fc from "fast-check";

import { JsonScanner, JSON_DEPTH_MAX, KIND } from "./body-json.ts";
import { isUtf8 } from "./body-utf8.ts";
import { putDecimal, putScanned } from "./csv-json.ts";
import { RowBuffer } from "./csv-writer.ts";
import { PathTree, type PathStep } from "./mapping-path.ts";

const KEYS = ["a", "b", "key", "", "é", "with space", 'quo"te', "0", "__proto__"];
const space = fc.constantFrom("", "", "", " ", "\n", "\t \r\n");
const keyText = fc.constantFrom(
  ...KEYS.map((key) => JSON.stringify(key)),
  '"\\u0061"',
  '"k\\u0065y"',
  '"\\/\\b\\f\\n\\r\\t"',
);
const numberText = fc.oneof(
  fc.constantFrom(
    "0",
    "-0",
    "1e3",
    "1E-7",
    "-1.50",
    "0.1000",
    "12345678901234567890",
    "1e21",
    "5e-324",
    "9.95e-1",
  ),
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => JSON.stringify(n)),
);
const stringText = fc.oneof(
  fc.string({ unit: "binary" }).map((value) => JSON.stringify(value)),
  fc.string().map((value) => JSON.stringify(value)),
  fc.constantFrom(
    '"\\ud83d\\ude00"',
    '"\\ud800"',
    '"\\u0000"',
    '"a\\\\"',
    '"😀é"',
    '"plain ascii of some length"',
  ),
);

/** Texts of JSON values with everything that the grammar allows: whitespace, repeated keys, odd numbers, escapes. */
const { value: jsonText } = fc.letrec<{ value: string; object: string; array: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: "small" },
    fc.oneof(numberText, stringText, fc.constantFrom("true", "false", "null")),
    tie("object"),
    tie("array"),
  ),
  object: fc
    .array(fc.tuple(space, keyText, space, space, tie("value"), space), { maxLength: 5 })
    .map((members) => `{${members.map(([a, k, b, c, v, d]) => `${a}${k}${b}:${c}${v}${d}`).join(",")}}`),
  array: fc
    .array(fc.tuple(space, tie("value"), space), { maxLength: 5 })
    .map((items) => `[${items.map(([a, v, b]) => a + v + b).join(",")}]`),
}));

function scannerFor(paths: readonly (readonly PathStep[])[]): JsonScanner {
  const tree = new PathTree();
  for (const steps of paths) tree.slotOf(steps);
  const scanner = new JsonScanner();
  scanner.use(tree);
  return scanner;
}

function parses(bytes: Uint8Array): boolean {
  const decoded = strictText(bytes);
  // TextDecoder drops a byte order mark, which JSON does not have.
  if (decoded === undefined || (bytes[0] === 0xef && bytes[1] === 0xbb)) return false;
  try {
    JSON.parse(decoded);
    return true;
  } catch {
    return false;
  }
}

/** What JSON.parse finds at a path; the marker when nothing is there. */
const MISSING = Symbol("missing");
function lookUp(root: unknown, steps: readonly PathStep[]): unknown {
  let value = root;
  for (const step of steps) {
    if (
      typeof step === "number"
        ? !Array.isArray(value)
        : value === null || typeof value !== "object" || Array.isArray(value)
    ) {
      return MISSING;
    }
    const holder = value as Record<string | number, unknown>;
    if (!Object.hasOwn(holder, step)) return MISSING;
    value = holder[step];
  }
  return value;
}

describe("JSON scanner against JSON.parse", () => {
  test("scan: any JSON text -> accepted", () => {
    fc.assert(
      fc.property(space, jsonText, space, (before, value, after) => {
        const bytes = utf8(before + value + after);
        const scanner = scannerFor([["a", "b"], []]);
        assert.equal(scanner.scanWhole(new BodyBytes(bytes), 0, bytes.length), true, scanner.problem);
        assert.equal(text(bytes.subarray(scanner.valueBegin, scanner.valueEnd)), value);
      }),
      { numRuns: 500 },
    );
  });

  test("scan: JSON with bytes changed, inserted, removed -> accepted exactly when JSON.parse accepts", () => {
    const edit = fc.tuple(
      fc.nat(),
      fc.constantFrom("set", "insert", "remove", "cut"),
      fc.oneof(fc.constantFrom(...utf8('{}[]",:\\0-.eEtfnu \n\u0080')), fc.integer({ min: 0, max: 255 })),
    );
    fc.assert(
      fc.property(jsonText, fc.array(edit, { minLength: 1, maxLength: 3 }), (value, edits) => {
        let bytes = [...utf8(value)];
        for (const [place, kind, byte] of edits) {
          const at = place % (bytes.length + 1);
          if (kind === "set") bytes[at] = byte;
          else if (kind === "insert") bytes.splice(at, 0, byte);
          else if (kind === "remove") bytes.splice(at, 1);
          else bytes = bytes.slice(0, at);
        }
        const body = Uint8Array.from(bytes);
        const scanner = scannerFor([["a"], ["b", 0], ["key"]]);
        assert.equal(scanner.scanWhole(new BodyBytes(body), 0, body.length), parses(body), scanner.problem);
      }),
      { numRuns: 3000 },
    );
  });

  test("scan: values at paths -> what JSON.parse has there, as CSV says it", () => {
    const step = fc.oneof(fc.constantFrom(...KEYS), fc.integer({ min: 0, max: 3 }));
    const paths = fc.array(fc.array(step, { maxLength: 3 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(jsonText, paths, (value, wanted) => {
        const bytes = utf8(value);
        const tree = new PathTree();
        const slots = wanted.map((steps) => tree.slotOf(steps));
        const scanner = new JsonScanner();
        scanner.use(tree);
        assert.equal(scanner.scanWhole(new BodyBytes(bytes), 0, bytes.length), true);
        const parsed: unknown = JSON.parse(value);
        for (const [i, steps] of wanted.entries()) {
          const expected = lookUp(parsed, steps);
          const slot = slots[i]!;
          assert.equal(scanner.kinds[slot] === KIND.missing, expected === MISSING, JSON.stringify(steps));
          if (expected === MISSING) continue;
          const out = new RowBuffer(16);
          assert.equal(putScanned(out, scanner, slot, true), true);
          const written = text(out.bytes.subarray(0, out.at)).replaceAll('""', '"');
          if (expected === null) assert.equal(written, "");
          else if (typeof expected === "string") assert.equal(written, text(utf8(expected)));
          else if (typeof expected === "number") assert.equal(Number(written), expected === 0 ? 0 : expected);
          else assert.deepEqual(JSON.parse(written), JSON.parse(JSON.stringify(expected)));
        }
      }),
      { numRuns: 1500 },
    );
  });

  test("scan: nesting at the bound -> accepted; beyond -> refused", () => {
    const scanner = scannerFor([[]]);
    const nested = (depth: number): Uint8Array => utf8("[".repeat(depth) + "]".repeat(depth));
    const deepest = nested(JSON_DEPTH_MAX);
    assert.equal(scanner.scanWhole(new BodyBytes(deepest), 0, deepest.length), true);
    const beyond = nested(JSON_DEPTH_MAX + 1);
    assert.equal(scanner.scanWhole(new BodyBytes(beyond), 0, beyond.length), false);
    assert.equal(scanner.problem, `nested deeper than ${JSON_DEPTH_MAX}`);
  });
});

test("decimal text: any double -> reads back the same, no exponent", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (n) => {
      const out = new RowBuffer(1);
      putDecimal(out, n);
      const written = text(out.bytes.subarray(0, out.at));
      assert.match(written, /^-?[0-9]+(\.[0-9]+)?$/);
      assert.equal(Number(written), n === 0 ? 0 : n);
    }),
  );
});

test("UTF-8: any bytes -> well-formed exactly when a strict decoder accepts", () => {
  const pieces = fc.oneof(
    fc.string({ unit: "binary" }).map((s) => [...utf8(s)]),
    fc.array(fc.integer({ min: 0x7e, max: 0xff }), { maxLength: 4 }),
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 4 }), (parts) => {
      const bytes = Uint8Array.from(parts.flat());
      assert.equal(isUtf8(bytes, 0, bytes.length), strictText(bytes) !== undefined);
    }),
    { numRuns: 2000 },
  );
});
