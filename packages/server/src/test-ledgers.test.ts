// The books of the crash test must find what they are there to find.
import assert from "node:assert/strict";
import { test } from "node:test";
import { JournalLedger } from "./test-journal-ledger.ts";
import { OfflineLedger } from "./test-offline-ledger.ts";
import { RecordLedger, type StoredRecord } from "./test-record-ledger.ts";

const JOURNAL = "stream/a";

/** Two connections: records 0 to 3 of each are sent, 0 to 2 acknowledged, and 1 of the second one refused. */
function records(): { readonly ledger: RecordLedger; readonly rows: readonly StoredRecord[] } {
  const ledger = new RecordLedger("seed", 2);
  const rows: StoredRecord[] = [];
  for (let n = 0; n < 4; n++) {
    for (const connection of [0, 1]) {
      const { sequence, line } = ledger.next(connection);
      const { check } = JSON.parse(line) as { check: string };
      rows.push({ journal: JOURNAL, connection, sequence, check, bodyLength: line.length });
      if (connection === 1 && sequence === 1) ledger.refuse(connection, sequence);
      else if (sequence < 3) ledger.acknowledge(connection, sequence);
    }
  }
  return { ledger, rows: rows.filter(({ connection, sequence }) => connection === 0 || sequence !== 1) };
}

type Edit = (rows: StoredRecord[]) => StoredRecord[];
const swapped: Edit = ([a, b, c, ...rest]) => [c!, b!, a!, ...rest];

const CASES: readonly (readonly [
  name: string,
  edit: Edit,
  isComplete: boolean,
  found: RegExp | undefined,
])[] = [
  ["all that was sent", (rows) => rows, true, undefined],
  [
    "without those of unknown outcome",
    (rows) => rows.filter(({ sequence }) => sequence < 3),
    true,
    undefined,
  ],
  ["one is missing, loads are still to come", (rows) => rows.slice(1), false, undefined],
  ["one is missing", (rows) => rows.slice(1), true, /record 0: acknowledged and not in the table/],
  ["one is there twice", (rows) => [...rows, rows[0]!], true, /record 0: is there twice/],
  ["one of unknown outcome twice", (rows) => [...rows, rows.at(-1)!], true, /record 3: is there twice/],
  [
    "one that was never sent",
    (rows) => [...rows, { ...rows[0]!, sequence: 9 }],
    true,
    /record 9: was never sent/,
  ],
  ["one of a stranger", (rows) => [...rows, { ...rows[0]!, connection: 7 }], true, /was never sent/],
  [
    "one that was refused",
    (rows) => [...rows, { ...rows[1]!, sequence: 1 }],
    true,
    /record 1: was refused and is/,
  ],
  [
    "another check",
    ([a, ...rest]) => [{ ...a!, check: "0" }, ...rest],
    true,
    /record 0: has the wrong check 0/,
  ],
  ["another body", ([a, ...rest]) => [{ ...a!, bodyLength: 1 }, ...rest], true, /has a body of 1 bytes/],
  ["out of order", swapped, true, /record 0: stands behind record 1 in stream\/a/],
];
for (const [name, edit, isComplete, found] of CASES) {
  test(`record ledger: ${name} -> ${found === undefined ? "fine" : "found"}`, () => {
    const { ledger, rows } = records();
    const violations = ledger.violations(edit([...rows]), isComplete);
    if (found === undefined) assert.deepEqual(violations, []);
    else assert.match(violations.join("; "), found);
  });
}

test("record ledger: counts", () => {
  assert.deepEqual(records().ledger.counts(), { sent: 8, acknowledged: 5, unknown: 2, refused: 1 });
});

/** Three appends; the second one's outcome is unknown. */
function appends(): { readonly ledger: JournalLedger; readonly parts: readonly Buffer[] } {
  const ledger = new JournalLedger("seed", "examples/a");
  const parts = [100, 40, 70].map((bytes) => ledger.next(bytes).content);
  ledger.acknowledge(0, 0, 100);
  ledger.acknowledge(2, 140, 210);
  return { ledger, parts };
}

const JOURNALS: readonly (readonly [
  name: string,
  edit: (parts: Buffer[]) => Buffer[],
  found: RegExp | undefined,
])[] = [
  ["all that was sent", (parts) => parts, undefined],
  ["nothing", () => [], /append 0: acknowledged at 0, is not there/],
  ["one elsewhere", ([a, , c]) => [a!, c!], /append 2: acknowledged at 140, stands at 100/],
  ["one twice", (parts) => [...parts, parts[1]!], /append 1: at 100 and at 210/],
  ["half of one", ([a, b, c]) => [a!, b!, c!.subarray(0, 30)], /append 2 at 140: has other bytes/],
  [
    "a changed byte",
    ([a, b, c]) => [a!, Buffer.concat([b!.subarray(0, 39), c!.subarray(0, 1)]), c!],
    /append 1 at 100/,
  ],
  ["something in between", ([a, b, c]) => [a!, Buffer.from("?"), b!, c!], /no append begins at 100/],
];
for (const [name, edit, found] of JOURNALS) {
  test(`journal ledger: ${name} -> ${found === undefined ? "fine" : "found"}`, () => {
    const { ledger, parts } = appends();
    const violations = ledger.violations(Buffer.concat(edit([...parts])));
    if (found === undefined) assert.deepEqual(violations, []);
    else assert.match(violations.join("; "), found);
  });
}

test("journal ledger: an answer that overlaps an earlier one, or has another length -> found", () => {
  const { ledger } = appends();
  const { number } = ledger.next(50);
  assert.match(ledger.acknowledge(number, 200, 250)!, /begins at 200, before the acknowledged end 210/);
  assert.match(ledger.acknowledge(number, 250, 299)!, /\[250, 299\) is not 50 bytes/);
});

test("offline ledger: what disks and stores have -> fine; what nobody has, or a store has otherwise -> found", () => {
  const ledger = new JournalLedger("seed", JOURNAL);
  const contents = [30, 40].map((bytes) => ledger.next(bytes).content);
  ledger.next(50); // nobody knows what became of it
  ledger.acknowledge(0, 0, 30);
  ledger.acknowledge(1, 30, 70);
  const whole = Buffer.concat(contents);
  const wrong = Buffer.alloc(70);
  const found = (...pieces: readonly (readonly [offset: number, bytes: Buffer, isStored: boolean])[]) => {
    const offline = new OfflineLedger(ledger);
    for (const piece of pieces) offline.take(...piece);
    return offline.violations();
  };
  assert.deepEqual(found([0, whole, false]), []);
  assert.deepEqual(
    found([50, whole.subarray(50), true], [0, wrong, false], [0, whole.subarray(0, 55), false]),
    [],
  );
  assert.deepEqual(found([0, whole.subarray(0, 60), true]), [
    "stream/a, append 1 at [30, 70): nobody has 60",
  ]);
  assert.match(
    found([0, whole, false], [0, wrong, true])[0]!,
    /append 0 .*: a store has other bytes in \[0, 30\)/,
  );
});
