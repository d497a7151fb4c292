// Templates a CPU second on one core, evaluated on a scanned record and written into a row: `node
// packages/ingest/dist/mapping-template.bench.js`.
import { systemRandom } from "@millrace/base";

import { RowBuffer } from "./csv-writer.ts";
import { PathTree } from "./mapping-path.ts";
import { ProgramSet } from "./mapping-programs.ts";
import { recordOf } from "./mapping-testkit.ts";
import { compileMapping } from "./mapping.ts";

const TEMPLATES = [
  "Body('a.b')",
  "Body('a.b') + '-' + Body('name')",
  "if Body('n') > 3 then Body('a.b') else 'small'",
  "{id: Body('name'), total: Body('n') * 2}",
  "std.asciiUpper(Body('a.b'))",
  "Body('long')",
  "Body('items')",
  "Body().a.b",
  "Now()",
  "Header('Content-Type')",
  "'%s:%d' % [Body('name'), Body('n')]",
];
const RECORD = JSON.stringify({
  a: { b: "hello world" },
  n: 5,
  name: "x1234",
  long: "lorem ipsum ".repeat(20),
  items: [
    { p: 1.5, q: 2 },
    { p: 3, q: 4 },
  ],
});
const COUNT = 100_000;
const ROUNDS = 5;

for (const content of TEMPLATES) {
  const tree = new PathTree();
  const column = { type: "template", name: "c", template: { language: "jsonnet", content } } as const;
  const mapping = compileMapping([column], { tree, programs: new ProgramSet(), random: systemRandom });
  const record = recordOf({ body: RECORD }, tree);
  const out = new RowBuffer(1 << 20);
  const figures: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const before = process.cpuUsage();
    for (let i = 0; i < COUNT; i++) {
      if (out.at > 1_000_000) out.at = 0;
      if (mapping.write(record, out) !== undefined) throw new Error("not mapped");
      record.values.forget();
    }
    const used = process.cpuUsage(before);
    if (round > 0) figures.push(COUNT / ((used.user + used.system) / 1e6));
  }
  const median = figures.sort((a, b) => a - b)[figures.length >> 1]!;
  process.stdout.write(`${JSON.stringify({ template: content, perCpuSecond: Math.round(median) })}\n`);
}
