// JSONata templates a CPU second, of this process and the one that evaluates together: a record's text is sent there in
// a batch, its value comes back and is written into a row: `node packages/ingest/dist/mapping-evaluated.bench.js`.
import { readFileSync } from "node:fs";

import { MetricsRegistry, silentLogger, systemClock, systemRandom } from "@millrace/base";
import { Evaluators, launchEvaluator } from "@millrace/jsonata";

import { RowBuffer } from "./csv-writer.ts";
import { measureTemplate, RECORD } from "./mapping-bench.ts";
import { PathTree } from "./mapping-path.ts";
import { ProgramSet } from "./mapping-programs.ts";
import { recordOf, templateColumn } from "./mapping-testkit.ts";
import { compileMapping } from "./mapping.ts";

const TEMPLATES = [
  "a.b",
  "a.b & '-' & name",
  "n > 3 ? a.b : 'small'",
  "{'id': name, 'total': n * 2}",
  "$uppercase(a.b)",
  "items",
  "$now()",
  "$header('Content-Type')",
];
const BATCH = 1000;
const BATCHES = 20;
/** Of the kernel's clock, as everywhere on Linux. */
const TICKS_A_SECOND = 100;

const pids: number[] = [];
const evaluators = new Evaluators(
  {
    launch: (events) => {
      const launched = launchEvaluator(events);
      if (launched.pid !== undefined) pids.push(launched.pid);
      return launched;
    },
    clock: systemClock,
    logger: silentLogger,
    metrics: new MetricsRegistry(),
  },
  1,
);

/** CPU seconds of this process and of those that evaluate. */
function cpuSeconds(): number {
  return [process.pid, ...pids].reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    return sum + (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
  }, 0);
}

for (const content of TEMPLATES) {
  const scope = { tree: new PathTree(), programs: new ProgramSet(), random: systemRandom };
  const mapping = compileMapping([templateColumn("jsonata", content)], scope);
  const record = recordOf({ body: RECORD }, scope.tree);
  const out = new RowBuffer(1 << 20);
  const { programs, steps } = scope.programs;
  const round = async (): Promise<number> => {
    for (let batch = 0; batch < BATCHES; batch++) {
      const records = Array.from({ length: BATCH }, () => scope.programs.inputOf(record));
      const job = { source: "bench", programs, steps, records, isOver: () => false };
      for (const evaluated of await evaluators.evaluate(job)) {
        if (out.at > 1_000_000) out.at = 0;
        record.evaluated = evaluated;
        if (mapping.write(record, out) !== undefined) throw new Error("not mapped");
      }
    }
    return BATCH * BATCHES;
  };
  await measureTemplate(content, round, cpuSeconds);
}
await evaluators.close();
