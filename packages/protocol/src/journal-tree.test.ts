import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { WireError } from "@millrace/base";
import { FLAG } from "./enums.ts";
import { newJournalSpec, type JournalSpec } from "./journal-spec.ts";
import {
  changesOf,
  hoist,
  journalsOf,
  newJournalNode,
  pushDown,
  treeOf,
  treeOfListing,
  validateJournalTree,
  type JournalNode,
} from "./journal-tree.ts";
import { journalTreeOfPlain, plainOfJournalTree } from "./journal-tree-plain.ts";
import { labelSet } from "./label-set.ts";
import { newListResponse } from "./list-message.ts";
import { refusal } from "./refusal-testkit.ts";
import { intersectSpecs, subtractSpecs, unionSpecs } from "./spec-algebra.ts";
import { journalSpec, route } from "./testkit.ts";
import { compareText } from "./text-order.ts";

const node = (
  name: string,
  spec: Partial<JournalSpec> = {},
  ...children: readonly JournalNode[]
): JournalNode => newJournalNode({ spec: { name, ...spec }, children });

/** The name of a node; of a directory, followed by its children. */
type Shape = string | readonly Shape[];
function shape(tree: JournalNode): Shape {
  return tree.children.length === 0 ? tree.spec.name : [tree.spec.name, ...tree.children.map(shape)];
}

test("validation: truth table of trees", () => {
  const cases: readonly (readonly [tree: JournalNode, text: string])[] = [
    [node("dir/", {}, node("dir/bar"), node("dir/foo")), ""],
    [node("item"), ""],
    [{ ...node("dir/"), revision: 1 }, "unexpected Revision (1)"],
    [node("dir/"), "expected one or more Children"],
    [node(""), "expected one or more Children"],
    [node("dir/", {}, node("foo1")), "expected parent Name to prefix child (dir/ vs foo1)"],
    [
      node("dir/", {}, node("dir/foo"), node("dir/bar")),
      "expected Children to be ordered (ind 1; dir/foo vs dir/bar)",
    ],
    [
      node("dir/", {}, node("dir/foo"), node("dir/foo")),
      "expected Children to be ordered (ind 1; dir/foo vs dir/foo)",
    ],
    [node("dir/", {}, node("dir/bad name")), "Name: not a valid token (dir/bad name)"],
    [node("item", {}, node("item/x")), "expected no Children with non-directory Node (item)"],
  ];
  for (const [tree, text] of cases)
    assert.equal(
      refusal(() => validateJournalTree(tree)),
      text,
    );
});

test("pushDown: children inherit what they do not state, with or without a common root", () => {
  for (const root of ["", "shared/"]) {
    const deleted = (tree: JournalNode, value: boolean): JournalNode => ({ ...tree, delete: value });
    const tree = node(
      root,
      { replication: 1 },
      node(
        `${root}aaa/`,
        { flags: FLAG.O_RDWR },
        node(`${root}aaa/111`, { flags: FLAG.O_RDONLY }),
        node(`${root}aaa/222`),
      ),
      node(
        `${root}bbb/`,
        { replication: 2, suspend: { level: "FULL", offset: 5 } },
        deleted(
          node(`${root}bbb/a/`, {}, node(`${root}bbb/a/x`), deleted(node(`${root}bbb/a/y`), false)),
          true,
        ),
        node(`${root}bbb/z`, { replication: 3, flags: FLAG.O_WRONLY }),
      ),
    );
    validateJournalTree(tree);
    assert.deepEqual(journalsOf(pushDown(tree)), [
      node(`${root}aaa/111`, { replication: 1, flags: FLAG.O_RDONLY }),
      node(`${root}aaa/222`, { replication: 1, flags: FLAG.O_RDWR }),
      deleted(node(`${root}bbb/a/x`, { replication: 2 }), true),
      deleted(node(`${root}bbb/a/y`, { replication: 2 }), false),
      node(`${root}bbb/z`, { replication: 3, flags: FLAG.O_WRONLY }),
    ]);
    assert.deepEqual(pushDown(tree).spec, newJournalSpec({ name: root }));
  }
});

test("hoist: what all children state moves up", () => {
  const common = { replication: 2, flags: FLAG.O_RDONLY, labels: labelSet(["name-1", "val-1"]) };
  const more = {
    ...common,
    labels: labelSet(["name-1", "val-1"], ["name-2", "val-2"]),
    suspend: { level: "FULL", offset: 1 } as const,
  };
  const deleted = (tree: JournalNode): JournalNode => ({ ...tree, delete: true });
  const tree = hoist(node("node/", {}, deleted(node("node/aaa", common)), deleted(node("node/bbb", more))));
  assert.deepEqual(
    tree,
    deleted(
      node(
        "node/",
        common,
        node("node/aaa"),
        node("node/bbb", { labels: labelSet(["name-2", "val-2"]), suspend: { level: "FULL", offset: 1 } }),
      ),
    ),
  );
});

test("treeOf: directories where names part, and only there", () => {
  const names = [
    "aaa/000",
    "aaa/111/foo/i",
    "aaa/111/foo/j",
    "aaa/222",
    "bbb/333/a/x",
    "bbb/333/a/y",
    "bbb/333/z",
    "bbb/444",
  ];
  const tree = treeOf(names.reverse().map((name) => node(`root/${name}`)));
  assert.deepEqual(shape(tree), [
    "root/",
    [
      "root/aaa/",
      "root/aaa/000",
      ["root/aaa/111/foo/", "root/aaa/111/foo/i", "root/aaa/111/foo/j"],
      "root/aaa/222",
    ],
    [
      "root/bbb/",
      ["root/bbb/333/", ["root/bbb/333/a/", "root/bbb/333/a/x", "root/bbb/333/a/y"], "root/bbb/333/z"],
      "root/bbb/444",
    ],
  ]);
  assert.deepEqual(shape(treeOf([node("aa/b"), node("cc/d"), node("aa")])), ["", "aa", "aa/b", "cc/d"]);
  assert.equal(shape(treeOf([node("one/journal")])), "one/journal");
  assert.deepEqual(treeOf([]), node(""));
});

test("algebra: union, intersection and difference of specs", () => {
  const zero = newJournalSpec({});
  const model = newJournalSpec({
    ...journalSpec({
      labels: labelSet(["aa", "1"]),
      maxAppendRate: 5,
      fragment: { stores: ["s3://b/"], retentionMs: 1, flushIntervalMs: 1, pathPostfixTemplate: "x" },
    }),
    name: "",
  });
  const other = newJournalSpec({
    ...journalSpec({
      replication: 3,
      labels: labelSet(["aa", "2"]),
      flags: 1,
      maxAppendRate: 6,
      fragment: {
        length: 2048,
        compressionCodec: "GZIP",
        stores: ["gs://c/"],
        refreshIntervalMs: 2,
        retentionMs: 2,
        flushIntervalMs: 2,
        pathPostfixTemplate: "y",
      },
    }),
    name: "",
  });
  assert.deepEqual(unionSpecs(zero, model), model);
  assert.deepEqual(unionSpecs(model, zero), model);
  assert.deepEqual(unionSpecs(other, model), other);
  assert.deepEqual(intersectSpecs(model, model), model);
  assert.deepEqual(intersectSpecs(model, other), zero);
  assert.deepEqual(intersectSpecs(model, zero), zero);
  assert.deepEqual(subtractSpecs(model, model), zero);
  assert.deepEqual(subtractSpecs(model, zero), model);
  assert.deepEqual(subtractSpecs(other, model), other);
});

const specs: fc.Arbitrary<Partial<JournalSpec>> = fc.record(
  {
    replication: fc.nat(2),
    labels: fc
      .array(fc.tuple(fc.constantFrom("aa", "bb"), fc.constantFrom("1", "2")), { maxLength: 3 })
      .map((pairs) => labelSet(...pairs)),
    fragment: fc
      .record({ length: fc.nat(1), refreshIntervalMs: fc.nat(1), stores: fc.constantFrom([], ["s3://b/"]) })
      .map((fields) => ({ ...newJournalSpec({}).fragment, ...fields })),
    flags: fc.nat(1),
    suspend: fc.constant({ level: "PARTIAL" as const, offset: 1 }),
  },
  { requiredKeys: [], noNullPrototype: true },
);
const trees = fc
  .uniqueArray(
    fc.tuple(
      fc
        .array(fc.constantFrom("aa", "bb", "a-"), { minLength: 2, maxLength: 5 })
        .map((parts) => parts.join("/")),
      specs,
    ),
    { selector: ([name]) => name, minLength: 1, maxLength: 12 },
  )
  .map((journals) =>
    journals.map(([name, spec]) => newJournalNode({ spec: { ...spec, name }, revision: 3 })),
  );

test("trees: hoisting and pushing down -> the journals that there were", () => {
  fc.assert(
    fc.property(trees, (journals) => {
      const tree = hoist(treeOf(journals));
      validateJournalTree(tree);
      const sorted = [...journals].sort((a, b) => compareText(a.spec.name, b.spec.name));
      assert.deepEqual(journalsOf(pushDown(tree)), sorted);
      assert.deepEqual(journalTreeOfPlain(JSON.parse(JSON.stringify(plainOfJournalTree(tree)))), tree);
    }),
  );
});

const PLAIN = {
  comment: "all of foo",
  name: "foo/",
  replication: 3,
  labels: [{ name: "a-name", value: "a-val" }],
  fragment: {
    length: 1234,
    compression_codec: "SNAPPY",
    stores: ["s3://a-bucket/", "gs://another/"],
    refresh_interval: "1m0s",
    retention: "1h0m0s",
    flush_interval: "2m0s",
    path_postfix_template: "foo={{ .Spool.Begin }}",
  },
  flags: "O_RDWR",
  max_append_rate: 11223344,
  children: [
    { delete: true, name: "foo/bar", revision: 5 },
    { name: "foo/baz/1", suspend: { level: "PARTIAL", offset: 112233 }, revision: -1 },
    { name: "foo/baz/2", labels: [{ name: "other", value: "" }], revision: 1234 },
  ],
};

test("plain: reading and printing -> the same, in the documented key order", () => {
  const tree = journalTreeOfPlain(PLAIN);
  assert.equal(JSON.stringify(plainOfJournalTree(tree)), JSON.stringify(PLAIN));
  const strings: unknown = JSON.parse(JSON.stringify(PLAIN).replace(/(?<=:)(true|-?[0-9]+)/g, '"$1"'));
  assert.deepEqual(journalTreeOfPlain(strings), tree, "scalars may all be strings");
  assert.deepEqual(plainOfJournalTree(treeOf([])), {});
});

test("plain: changes of a tree", () => {
  const [remove, first, second] = changesOf(journalTreeOfPlain(PLAIN));
  assert.deepEqual(remove, { expectModRevision: 5, delete: "foo/bar" });
  assert.equal(first?.expectModRevision, -1);
  assert.deepEqual(first.upsert?.suspend, { level: "PARTIAL", offset: 112233 });
  assert.deepEqual(second?.upsert?.labels, labelSet(["a-name", "a-val"], ["other", ""]));
  assert.equal(second.upsert?.fragment.flushIntervalMs, 120_000);
  assert.equal(second.upsert.suspend, undefined);
  assert.equal(
    refusal(() => changesOf(journalTreeOfPlain({ name: "a/" }))),
    "expected one or more Children",
  );
});

test("plain: other ways to write values", () => {
  const read = (fields: object): JournalSpec => journalTreeOfPlain({ name: "a/journal", ...fields }).spec;
  assert.equal(read({ fragment: { refresh_interval: 60_000_000_000 } }).fragment.refreshIntervalMs, 60_000);
  assert.equal(read({ fragment: { refresh_interval: "90s" } }).fragment.refreshIntervalMs, 90_000);
  assert.equal(read({ flags: 1 }).flags, FLAG.O_RDONLY);
  assert.equal(read({ flags: "2" }).flags, FLAG.O_WRONLY);
  assert.equal(read({ suspend: { level: 2 } }).suspend?.level, "FULL");
  assert.deepEqual(
    read({
      labels: [
        { name: "bb", value: "" },
        { name: "aa", value: "x" },
      ],
    }).labels,
    labelSet(["aa", "x"], ["bb", ""]),
  );
  assert.deepEqual(read({ fragment: null, labels: null }), newJournalSpec({ name: "a/journal" }));
  assert.deepEqual(plainOfJournalTree(journalTreeOfPlain({ name: "a/b1", flags: 35 })), {
    name: "a/b1",
    flags: 35,
  });
});

test("plain: integers of 64 bits -> kept as they are", () => {
  const tree = journalTreeOfPlain({
    name: "a/journal",
    max_append_rate: "9223372036854775807",
    suspend: { offset: "9007199254740993" },
  });
  assert.deepEqual([tree.spec.maxAppendRate, tree.spec.suspend?.offset], [2n ** 63n - 1n, 2n ** 53n + 1n]);
  assert.deepEqual(plainOfJournalTree(tree), {
    name: "a/journal",
    max_append_rate: 2n ** 63n - 1n,
    suspend: { offset: 2n ** 53n + 1n },
  });
  const beyond = { name: "a/journal", max_append_rate: "9223372036854775808" };
  assert.match(
    refusal(() => journalTreeOfPlain(beyond)),
    /expected an integer of 64 bits/,
  );
});

test("plain: what does not fit -> refused with the path to it", () => {
  const cases: readonly (readonly [plain: unknown, text: string])[] = [
    [[], "expected a mapping"],
    [{ nope: 1 }, 'unknown field "nope"'],
    [{ children: [{ fragment: { nope: 1 } }] }, 'children[0].fragment: unknown field "nope"'],
    [{ children: {} }, "children: expected a list"],
    [{ replication: "x" }, "replication: expected an integer of at most 2^53 - 1"],
    [{ replication: 1.5 }, "replication: expected an integer of at most 2^53 - 1"],
    [{ delete: "yep" }, "delete: expected true or false"],
    [{ labels: [{ name: "aa", value: 7 }] }, "labels[0].value: expected a string, not 7: put it in quotes"],
    [
      { flags: "O_NOPE" },
      'flags: "O_NOPE" is not a valid JournalSpec_Flag (options are NOT_SPECIFIED, O_RDONLY, O_WRONLY, O_RDWR)',
    ],
    [
      { suspend: { level: "x" } },
      'suspend.level: "x" is not a valid JournalSpec_Suspend_Level (options are NONE, PARTIAL, FULL)',
    ],
    [{ suspend: { level: 7 } }, "suspend.level: invalid Level variant (7)"],
    [
      { fragment: { refresh_interval: "5 minutes" } },
      'fragment.refresh_interval: time: unknown unit " minutes" in duration "5 minutes"',
    ],
    [{ fragment: { stores: [5] } }, "fragment.stores[0]: expected a string, not 5: put it in quotes"],
    [
      { fragment: { compression_codec: "toString" } },
      'fragment.compression_codec: "toString" is not a valid CompressionCodec ' +
        "(options are INVALID, NONE, GZIP, ZSTANDARD, SNAPPY, GZIP_OFFLOAD_DECOMPRESSION)",
    ],
  ];
  for (const [plain, text] of cases)
    assert.equal(
      refusal(() => journalTreeOfPlain(plain)),
      text,
    );
  let deep: object = {};
  for (let i = 0; i < 600; i++) deep = { children: [deep] };
  assert.match(
    refusal(() => journalTreeOfPlain(deep)),
    /nodes nest too deeply \(expected <= 512\)$/,
  );
});

test("plain: any JSON -> a tree or a WireError", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...Object.keys(PLAIN)), (json, key) => {
      for (const plain of [json, { [key]: json }, { children: [{ [key]: json }] }]) {
        try {
          journalTreeOfPlain(plain);
        } catch (thrown) {
          assert.ok(thrown instanceof WireError);
        }
      }
    }),
  );
});

test("listing: a hoisted tree with the revisions", () => {
  const journals = ["a/one", "a/two"].map((name, i) => ({
    spec: journalSpec({ name }),
    modRevision: i + 5,
    route: route(),
    createRevision: 1,
  }));
  const tree = treeOfListing(newListResponse({ journals }));
  assert.deepEqual(
    tree.children.map((child) => [child.spec, child.revision]),
    [
      [newJournalSpec({ name: "a/one" }), 5],
      [newJournalSpec({ name: "a/two" }), 6],
    ],
  );
  assert.deepEqual(tree.spec, journalSpec({ name: "a/" }));
});
