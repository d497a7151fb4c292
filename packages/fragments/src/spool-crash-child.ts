// The process that durable-spools.crash.test.ts kills: appends to three journals as fast as it can, and writes a line
// for each acknowledged append: journal, begin, end, id. Arguments: directory, first id.
import { writeSync } from "node:fs";
import { jsonLogger, MetricsRegistry, never, systemClock, systemRandom } from "@millrace/base";
import { openSystemDisk } from "@millrace/wal";
import { openSpools } from "./durable-spools.ts";
import { contentOf } from "./spool-model.ts";
import type { Spool } from "./spools.ts";

const [root, first] = process.argv.slice(2) as [string, string];
let nextId = Number(first);
/** Spools with an open append. */
const busy = new Set<Spool>();

const disk = await openSystemDisk(root);
const ports = { disk, clock: systemClock, random: systemRandom, metrics: new MetricsRegistry() };
const logger = jsonLogger("warn", (line) => process.stderr.write(line));
const onFatal = (error: Error): void => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
};
const small = { checkpointLogBytes: 8 * 1024 * 1024, tailBytesMax: 1024 * 1024 };
const spools = await openSpools({ ...ports, logger, onFatal }, small, never);
const journals = ["a", "b", "c"].map((journal) => spools.claim({ journal, createRevision: 1, epoch: 1 }, 0));
for (const spool of await Promise.all(journals)) {
  // Several under way at once, so that groups hold more than one.
  for (let i = 0; i < 4; i++) void append(spool);
}

async function append(spool: Spool): Promise<void> {
  for (;;) {
    while (busy.has(spool)) await systemClock.sleep(1, never);
    busy.add(spool);
    const id = nextId++;
    const length = id % 40 === 0 ? 300_000 : 1 + ((id * 7919) % 5000);
    if (id % 50 === 0) spool.roll(spool.pendingEnd);
    const open = spool.openAppend();
    const content = contentOf(id, length);
    for (let at = 0; at < length; at += 50_000) {
      const writing = open.write(content.subarray(at, at + 50_000), never);
      if (writing !== undefined) await writing;
    }
    const done = new Promise<void>((resolve, reject) => {
      open.commit(undefined, (outcome) => {
        if (outcome.kind !== "acknowledged") return reject(outcome.error);
        writeSync(1, `${spool.life.journal} ${outcome.begin} ${outcome.end} ${id}\n`);
        resolve();
      });
    });
    busy.delete(spool);
    await done;
  }
}
