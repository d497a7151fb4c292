import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hex, WireError } from "@millrace/base";
import {
  binary,
  codecs,
  enumerations,
  exactInt64,
  int64,
  message,
  optional,
  recursive,
  repeated,
  string,
  uint64s,
  type Message,
} from "./index.ts";

const KIND = { NONE: 0, SOME: 1, ALL: 300 } as const;

interface Tree {
  readonly key: string;
  readonly name: string;
  readonly id: bigint;
  readonly offset: number;
  readonly numbers: readonly bigint[];
  readonly kinds: readonly (keyof typeof KIND)[];
  readonly branches: readonly Tree[];
  readonly root?: Tree;
}
const recursiveTree = recursive<Tree>(() => tree);
const tree: Message<Tree> = message<Tree>({
  key: binary(1),
  name: string(2),
  id: exactInt64(3),
  offset: int64(4),
  numbers: uint64s(5),
  kinds: enumerations(6, KIND, "kind"),
  branches: repeated(7, recursiveTree),
  root: optional(8, recursiveTree),
});
const { encode, decode } = codecs(tree);

/** Trees with `below` under them. */
function treeOf(below: fc.Arbitrary<Tree>): fc.Arbitrary<Tree> {
  const scalars = fc.record({
    key: fc.uint8Array({ maxLength: 20 }).map((bytes) => String.fromCharCode(...bytes)),
    name: fc.string({ unit: "grapheme", maxLength: 10 }),
    id: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
    offset: fc.maxSafeInteger(),
    numbers: fc.array(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), { maxLength: 4 }),
    kinds: fc.array(fc.constantFrom("NONE" as const, "SOME" as const, "ALL" as const), { maxLength: 4 }),
  });
  return fc
    .tuple(scalars, fc.array(below, { maxLength: 3 }), fc.option(below))
    .map(([tree, branches, root]) => ({ ...tree, branches, ...(root === null ? {} : { root }) }));
}

const leaves = fc.constant(tree.zero);
const trees = treeOf(treeOf(treeOf(leaves)));

test("a message of every kind: encode then decode -> the same, and encodes to the same bytes", () => {
  fc.assert(
    fc.property(trees, (value) => {
      const bytes = encode(value);
      const again = decode(bytes);
      assert.deepEqual(again, value);
      assert.equal(hex(encode(again)), hex(bytes));
    }),
  );
});

test("decode: bytes changed, cut or at random -> a value or a WireError, never anything else", () => {
  const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 });
  fc.assert(
    fc.property(
      fc.oneof(trees.map(encode), fc.uint8Array({ maxLength: 64 })),
      flips,
      fc.nat(),
      (bytes, changes, end) => {
        const mutated = Uint8Array.from(bytes).subarray(0, bytes.length - (end % 3));
        for (const [where, byte] of changes) if (mutated.length > 0) mutated[where % mutated.length] = byte;
        try {
          decode(mutated);
        } catch (thrown) {
          if (!(thrown instanceof WireError)) throw thrown;
        }
      },
    ),
    { numRuns: 1000 },
  );
});
