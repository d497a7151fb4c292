// CPU time of a whole broker, store and allocator included, for each new journal among many:
// `node packages/broker/dist/broker-allocation.bench.js [JOURNALS [NEW]]`. Default: 60 more beside 10,000.
import { never, systemClock } from "@millrace/base";
import { settle } from "@millrace/base/testkit";
import { upsertChange } from "@millrace/protocol";
import { journalSpec, openTestBroker } from "./broker-testkit.ts";

const [journals = 10_000, more = 60] = process.argv.slice(2).map(Number);
const BATCH = 100;

const { transport, close } = await openTestBroker({ journalLimit: 131_072 });
async function make(names: readonly string[]): Promise<void> {
  await transport.apply({ changes: names.map((name) => upsertChange(journalSpec(name), 0)) }, never);
  await settle();
}

const name = (at: number): string => `company/journal-${String(at).padStart(6, "0")}`;
for (let at = 0; at < journals; at += BATCH) {
  await make(Array.from({ length: Math.min(BATCH, journals - at) }, (_, i) => name(at + i)));
}
const before = process.cpuUsage();
const beginMs = systemClock.monotonicMs();
for (let at = 0; at < more; at++) await make([name(journals + at)]);
const { user, system } = process.cpuUsage(before);
const wallMs = systemClock.monotonicMs() - beginMs;
process.stdout.write(
  `${more} new journals among ${journals}: ${((user + system) / 1000 / more).toFixed(2)} ms of CPU each, ` +
    `${(wallMs / more).toFixed(2)} ms\n`,
);
await close();
