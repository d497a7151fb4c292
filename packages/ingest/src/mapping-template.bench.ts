// Templates a CPU second on one core, evaluated on a scanned record and written into a row: `node
// packages/ingest/dist/mapping-template.bench.js`.
import { systemRandom } from "@millrace/base";

import { RowBuffer } from "./csv-writer.ts";
import { TemplateBudget } from "./mapping-budget.ts";
import { measureTemplate, RECORD } from "./mapping-bench.ts";
import { PathTree } from "./mapping-path.ts";
import { ProgramSet } from "./mapping-programs.ts";
import { recordOf, templateColumn } from "./mapping-testkit.ts";
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
const COUNT = 100_000;

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

for (const content of TEMPLATES) {
  const tree = new PathTree();
  const column = templateColumn("jsonnet", content);
  const mapping = compileMapping([column], { tree, programs: new ProgramSet(), random: systemRandom });
  const budget = new TemplateBudget(Number.POSITIVE_INFINITY);
  const record = { ...recordOf({ body: RECORD }, tree), budget };
  const out = new RowBuffer(1 << 20);
  const round = (): number => {
    for (let i = 0; i < COUNT; i++) {
      if (out.at > 1_000_000) out.at = 0;
      budget.startRecord();
      if (mapping.write(record, out) !== undefined) throw new Error("not mapped");
      record.values.forget();
    }
    return COUNT;
  };
  await measureTemplate(content, round, cpuSeconds);
}
