import assert from "node:assert/strict";
import { test } from "node:test";
import { addCover, coverDifference, longestOverlapping, type Span } from "./fragment-index-cover.ts";
import { pageOfIndex, queryIndex } from "./fragment-index-query.ts";
import { FragmentIndex, remoteEntry, type FragmentEntry } from "./fragment-index.ts";
import { localFragmentOf, remoteFragmentOf } from "./fragment-index-testkit.ts";

type Pair = readonly [number, number];
const spans = (...pairs: Pair[]): Span[] => pairs.map(([begin, end]) => ({ begin, end }));
const pairs = (set: Iterable<Span>): Pair[] => [...set].map(({ begin, end }) => [begin, end] as const);

function coverOf(...added: Pair[]): Span[] {
  const set: Span[] = [];
  for (const span of spans(...added)) addCover(set, span);
  return set;
}

const HUNDREDS: Pair[] = [
  [100, 200],
  [200, 300],
  [300, 400],
  [400, 500],
];

test("addCover: golden cases of the original", () => {
  const cases: [string, Pair[], Pair[]][] = [
    [
      "insert at end",
      [...HUNDREDS.slice(0, 2), [201, 301]],
      [
        [100, 200],
        [200, 300],
        [201, 301],
      ],
    ],
    [
      "replace range at end",
      [...HUNDREDS, [150, 500]],
      [
        [100, 200],
        [150, 500],
      ],
    ],
    [
      "replace range, ending beyond",
      [...HUNDREDS, [150, 501]],
      [
        [100, 200],
        [150, 501],
      ],
    ],
    [
      "replace one at end",
      [...HUNDREDS.slice(0, 2), [199, 300]],
      [
        [100, 200],
        [199, 300],
      ],
    ],
    [
      "replace one at end, longer",
      [...HUNDREDS.slice(0, 2), [200, 301]],
      [
        [100, 200],
        [200, 301],
      ],
    ],
    [
      "replace range in middle",
      [...HUNDREDS, [150, 450]],
      [
        [100, 200],
        [150, 450],
        [400, 500],
      ],
    ],
    [
      "replace one in middle",
      [...HUNDREDS, [190, 310]],
      [
        [100, 200],
        [190, 310],
        [300, 400],
        [400, 500],
      ],
    ],
    [
      "insert in middle",
      [
        [100, 200],
        [300, 400],
        [200, 300],
      ],
      [
        [100, 200],
        [200, 300],
        [300, 400],
      ],
    ],
    [
      "insert in middle, close",
      [
        [100, 200],
        [300, 400],
        [201, 299],
      ],
      [
        [100, 200],
        [201, 299],
        [300, 400],
      ],
    ],
    [
      "replace range at begin",
      [...HUNDREDS.slice(0, 3), [50, 300]],
      [
        [50, 300],
        [300, 400],
      ],
    ],
    [
      "insert at begin",
      [
        [200, 300],
        [100, 200],
      ],
      [
        [100, 200],
        [200, 300],
      ],
    ],
    [
      "overlapping members",
      [
        [100, 150],
        [149, 201],
        [200, 250],
      ],
      [
        [100, 150],
        [149, 201],
        [200, 250],
      ],
    ],
    ["empty", [[100, 100]], []],
    [
      "held at begin, inside, at end",
      [
        [100, 200],
        [100, 150],
        [120, 130],
        [150, 200],
      ],
      [[100, 200]],
    ],
  ];
  for (const [name, added, expected] of cases) assert.deepEqual(pairs(coverOf(...added)), expected, name);
});

test("addCover: a twin -> replaces the earlier one, but a strictly held span changes nothing", () => {
  const set = [{ begin: 0, end: 10, of: "a" }];
  assert.equal(addCover(set, { begin: 0, end: 10, of: "b" }), true);
  assert.equal(addCover(set, { begin: 0, end: 9, of: "c" }), false);
  assert.deepEqual(set, [{ begin: 0, end: 10, of: "b" }]);
});

test("longestOverlapping: golden vector", () => {
  const set = spans([100, 200], [149, 201], [200, 300], [299, 351], [300, 400], [500, 600]);
  const golden: [number, number, boolean][] = [
    [0, 0, false],
    [100, 0, true],
    [148, 0, true],
    [149, 1, true],
    [199, 1, true],
    [200, 2, true],
    [298, 2, true],
    [299, 3, true],
    [300, 4, true],
    [350, 4, true],
    [399, 4, true],
    [400, 5, false],
    [499, 5, false],
    [500, 5, true],
    [599, 5, true],
    [600, 6, false],
  ];
  for (const [offset, index, found] of golden) {
    assert.deepEqual(longestOverlapping(set, offset), { index, found }, String(offset));
  }
});

test("coverDifference: runs of contiguous or overlapping spans cover", () => {
  const a = spans([0, 10], [10, 20], [20, 30], [40, 50], [60, 70]);
  const b = spans([0, 5], [5, 12], [11, 19], [20, 25], [26, 31], [39, 51]);
  assert.deepEqual(pairs(coverDifference(a, b)), [
    [10, 20],
    [20, 30],
    [60, 70],
  ]);
  assert.deepEqual(pairs(coverDifference(a, [])), pairs(a));
});

const local = (begin: number, end: number, closed = true) => localFragmentOf({ begin, end, closed });
const remote = (begin: number, end: number, modTime = 1000) =>
  remoteEntry(remoteFragmentOf({ begin, end, modTime, sum: `${begin}-${end}` }));
const shape = (entries: Iterable<FragmentEntry>): string =>
  [...entries].map(({ kind, begin, end }) => `${kind[0]}${begin}-${end}`).join(" ");

test("index: remote covers local, by several contiguous ones too -> remote is shown, local still read", () => {
  const index = new FragmentIndex();
  index.setLocal([local(0, 100), local(100, 200), local(200, 300, false)]);
  assert.equal(shape(index.entries()), "l0-100 l100-200 l200-300");
  index.setRemote([remote(0, 60), remote(60, 130)], 0);
  assert.equal(shape(index.entries()), "r0-60 r60-130 l100-200 l200-300");
  assert.equal(index.localAt(50)?.end, 100);
  assert.equal(index.localAt(300), undefined);
  assert.deepEqual(index.summary(), { begin: 0, end: 300, lastModTime: 0 });
});

test("index: a growing local fragment -> replaces its shorter self", () => {
  const index = new FragmentIndex();
  index.setRemote([remote(0, 100)], 0);
  index.setLocal([]);
  index.setLocal([local(100, 110, false)]);
  index.setLocal([local(100, 150, false)]);
  index.setLocal([local(100, 150), local(150, 160, false)]);
  assert.equal(shape(index.entries()), "r0-100 l100-150 l150-160");
  assert.deepEqual(index.find(149), { index: 1, found: true });
  assert.deepEqual(index.find(160), { index: 3, found: false });
  index.setLocal([local(150, 160, false)]);
  assert.equal(shape(index.entries()), "r0-100 l150-160");
  assert.deepEqual(index.find(120), { index: 1, found: false });
});

test("index: a listing that began before a confirmation -> the confirmed fragment stays, later ones decide", () => {
  const index = new FragmentIndex({ graceMs: 1000 });
  index.setRemote([remote(0, 100)], 0);
  index.setLocal([local(100, 200), local(200, 210, false)]);
  index.confirm(remote(100, 200), 5000);
  index.setLocal([local(200, 210, false)]);
  assert.equal(shape(index.entries()), "r0-100 r100-200 l200-210");
  assert.deepEqual(index.setRemote([remote(0, 100)], 4900), []);
  assert.deepEqual(index.setRemote([remote(0, 100)], 5900), []);
  assert.equal(shape(index.entries()), "r0-100 r100-200 l200-210");
  const missing = index.setRemote([remote(0, 100)], 6001);
  assert.equal(shape(missing), "r100-200");
  assert.equal(shape(index.entries()), "r0-100 l200-210");
});

test("index: a confirmed fragment that was removed on purpose -> gone at once, never missing", () => {
  const index = new FragmentIndex({ graceMs: 1000 });
  index.setRemote([remote(0, 100)], 0);
  index.setLocal([local(100, 200), local(200, 210, false)]);
  index.confirm(remote(100, 200), 5000);
  index.setLocal([local(200, 210, false)]);
  for (const removed of [remote(0, 100), remote(100, 200), remote(100, 200)]) index.forget(removed.fragment);
  assert.equal(shape(index.entries()), "l200-210");
  assert.deepEqual(index.summary(), { begin: 200, end: 210, lastModTime: 0 });
  assert.deepEqual(index.setRemote([], 7000), []);
});

test("index: confirmed before a listing began that does not show it -> its store is to be asked", () => {
  const index = new FragmentIndex();
  const asked = (listed: Parameters<typeof index.unlisted>[0], startedMs: number): string =>
    shape(index.unlisted(listed, startedMs));
  assert.equal(asked([], 0), "");
  index.confirm(remote(0, 100), 1000);
  index.confirm(remote(100, 200), 2000);
  assert.equal(asked([], 999), "");
  assert.equal(asked([], 1000), "r0-100");
  assert.equal(asked([remote(0, 100)], 2000), "r100-200");
  assert.equal(asked([remote(0, 100), remote(100, 200)], 2000), "");
  index.setRemote([remote(0, 100)], 2000);
  assert.equal(asked([], 2000), "r100-200", "what was listed once needs no asking");
});

test("index: a confirmed fragment that was listed once and is then gone -> pruned, not missing", () => {
  const index = new FragmentIndex();
  index.confirm(remote(0, 100), 0);
  assert.equal(index.isRefreshed, false);
  assert.deepEqual(index.setRemote([remote(0, 100), remote(100, 200)], 1), []);
  assert.equal(index.isRefreshed, true);
  assert.deepEqual(index.setRemote([remote(100, 200)], 2), []);
  assert.equal(shape(index.entries()), "r100-200");
});

test("queryIndex: a fragment persisted before the first listing -> what the store may hold is not passed over", () => {
  const index = new FragmentIndex();
  index.setLocal([local(100, 200), local(200, 210, false)]);
  index.confirm(remote(100, 200, 2000), 0);
  const ask = (): string => {
    const { kind, offset } = queryIndex(index, { offset: 0, beginModTime: 0, head: 210 }, 0);
    return `${kind} ${offset}`;
  };
  assert.equal(ask(), "not-yet 0");
  index.setRemote([remote(0, 100), remote(100, 200)], 1);
  assert.equal(ask(), "found 0");
  index.setRemote([remote(100, 200)], 2);
  assert.equal(ask(), "not-yet 0", "it may not be listed any more, or not yet");
  index.settle();
  assert.equal(ask(), "found 100", "it was pruned");
});

test("queryIndex: head, found, held back, jumped", () => {
  const index = new FragmentIndex();
  const ask = (offset: number, nowMs = 0, beginModTime = 0, head = 0): string => {
    const answer = queryIndex(index, { offset, beginModTime, head }, nowMs);
    const entry = answer.kind === "found" ? ` ${shape([answer.entry])}` : ` jump=${answer.jumpAtMs}`;
    return `${answer.kind} ${answer.offset} of ${answer.writeHead}${entry}`;
  };
  assert.equal(ask(-1), "not-yet 0 of 0 jump=undefined");
  index.setLocal([local(50, 60, false)]);
  assert.equal(ask(0), "not-yet 0 of 60 jump=undefined");
  assert.equal(ask(-1), "not-yet 60 of 60 jump=undefined");
  assert.equal(ask(55), "found 55 of 60 l50-60");
  index.setRemote([remote(20, 30, 1000), remote(40, 50, 2000)], 0);
  const jumpAtMs = (2000 + 6 * 3600 + 1) * 1000;
  assert.equal(ask(0), `not-yet 0 of 60 jump=${jumpAtMs - 1_000_000}`);
  assert.equal(ask(0, jumpAtMs - 1_000_000), "found 20 of 60 r20-30");
  index.settle();
  assert.equal(ask(0), "found 20 of 60 r20-30");
  assert.equal(ask(30), `not-yet 30 of 60 jump=${jumpAtMs}`);
  assert.equal(ask(30, jumpAtMs - 1), `not-yet 30 of 60 jump=${jumpAtMs}`);
  assert.equal(ask(30, jumpAtMs), "found 40 of 60 r40-50");
  assert.equal(ask(20, jumpAtMs, 2001), "found 50 of 60 l50-60");
  assert.equal(ask(20, jumpAtMs, 2000), "found 40 of 60 r40-50");
  assert.equal(ask(-1, 0, 0, 70), "not-yet 70 of 70 jump=undefined");
  assert.equal(ask(55, 0, 0, 70), "found 55 of 70 l50-60");
});

test("pageOfIndex: bounds, inclusive end, tokens", () => {
  const index = new FragmentIndex();
  index.setRemote([remote(0, 10, 1), remote(10, 20, 2), remote(20, 30, 3)], 0);
  index.setLocal([local(30, 40)]);
  const page = (request: Partial<Parameters<typeof pageOfIndex>[1]>): string => {
    const none = { beginModTime: 0, endModTime: 0, nextPageToken: 0, pageLimit: 0 };
    const { entries, nextPageToken } = pageOfIndex(index, { ...none, ...request });
    return `${shape(entries)} next=${nextPageToken}`;
  };
  assert.equal(page({}), "r0-10 r10-20 r20-30 l30-40 next=0");
  assert.equal(page({ pageLimit: 2 }), "r0-10 r10-20 next=20");
  assert.equal(page({ pageLimit: 2, nextPageToken: 20 }), "r20-30 l30-40 next=0");
  assert.equal(page({ nextPageToken: 5 }), "r10-20 r20-30 l30-40 next=0");
  assert.equal(page({ beginModTime: 2 }), "r10-20 r20-30 l30-40 next=0");
  assert.equal(page({ endModTime: 2 }), "r0-10 r10-20 next=0");
});
