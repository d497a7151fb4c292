// `millrace produce`: sends records to a source, and says how long the answers took.
import { createReadStream } from "node:fs";
import { Option, type Command } from "commander";
import { systemClock, WireError } from "@millrace/base";
import { Pool } from "undici";
import { UsageError, type CliIo } from "./cli-io.ts";
import { wholeNumber } from "./command-up.ts";
import { Latencies } from "./latencies.ts";
import { batchesOf, generatedLines, inputLines } from "./produce-input.ts";

interface ProduceOptions {
  readonly input: string;
  readonly generate?: string;
  readonly count?: string;
  readonly rate?: string;
  readonly connections: string;
  readonly batch: string;
  readonly json?: true;
}

interface Totals {
  sent: number;
  accepted: number;
  rejected: number;
  failed: number;
}

const PROGRESS_MS = 1000;
const RETRY_MS = 200;

export function addProduceCommand(program: Command, io: CliIo): void {
  program
    .command("produce")
    .description("Send records to a source; the last line of stdout is a JSON summary with latency percentiles")
    .argument("<url>", "URL of the source: http://…/stream/<project>/<source>/<secret>")
    .option("-i, --input <FILE>", "file with one JSON record a line; - is stdin", "-")
    .option("--generate <BYTES>", "generate records of this size instead")
    .option("-n, --count <N>", "records to send (default: all of the input; 10000 generated ones)")
    .option("--rate <N>", "records a second (default: as fast as they are accepted)")
    .option("-c, --connections <N>", "requests under way at a time", "8")
    .addOption(new Option("-b, --batch <N>", "records in one request; more than 1 are sent as NDJSON").default("1"))
    .option("--json", "no progress line, only the summary")
    .action(async (url: string, options: ProduceOptions) => {
      const summary = await produce(url, options, io);
      io.out(`${JSON.stringify(summary)}\n`);
      if (summary.failed > 0) io.exitCode(1);
    });
}

async function produce(url: string, options: ProduceOptions, io: CliIo) {
  const target = parseUrl(url);
  const connections = wholeNumber("--connections", options.connections, 10_000);
  const batch = wholeNumber("--batch", options.batch, 100_000);
  const rate = options.rate === undefined ? Number.POSITIVE_INFINITY : wholeNumber("--rate", options.rate);
  const batches = batchesOf(recordsOf(options, io), batch, countOf(options));
  const pool = new Pool(target.origin, { connections, pipelining: 1 });
  const totals: Totals = { sent: 0, accepted: 0, rejected: 0, failed: 0 };
  const latencies = new Latencies();
  const startMs = systemClock.monotonicMs();
  const stopProgress = options.json === true ? () => undefined : showProgress(totals, startMs, io);
  const sender = async (): Promise<void> => {
    for (let next = await batches.next(); next.done !== true; next = await batches.next()) {
      const records = next.value;
      totals.sent += records.length;
      const dueMs = startMs + ((totals.sent - records.length) / rate) * 1000;
      const waitMs = dueMs - systemClock.monotonicMs();
      if (waitMs > 0) await systemClock.sleep(waitMs, io.signal);
      await sendBatch(pool, target, records, totals, latencies, io);
    }
  };
  try {
    await Promise.all(Array.from({ length: connections }, sender));
  } finally {
    stopProgress();
    await pool.close();
  }
  const seconds = (systemClock.monotonicMs() - startMs) / 1000;
  const recordsPerSecond = Math.round(totals.accepted / seconds);
  return { ...totals, seconds: Math.round(seconds * 1000) / 1000, recordsPerSecond, latencyMs: latencies.summary() };
}

function parseUrl(url: string): URL {
  try {
    return new URL(url);
  } catch {
    throw new UsageError(`"${url}" is not a URL`);
  }
}

function recordsOf(options: ProduceOptions, io: CliIo): AsyncIterable<string> {
  if (options.generate !== undefined) return generatedLines(wholeNumber("--generate", options.generate, 1_000_000));
  if (options.input === "-") return inputLines(io.stdin);
  return inputLines(createReadStream(options.input) as AsyncIterable<Uint8Array>);
}

function countOf(options: ProduceOptions): number {
  if (options.count !== undefined) return wholeNumber("--count", options.count);
  return options.generate === undefined ? Number.POSITIVE_INFINITY : 10_000;
}

/** Refusals that wrote nothing are repeated; an unknown outcome is counted as failed, since repeating could double. */
async function sendBatch(
  pool: Pool,
  target: URL,
  records: readonly string[],
  totals: Totals,
  latencies: Latencies,
  io: CliIo,
): Promise<void> {
  const single = records.length === 1;
  const body = single ? records[0]! : `${records.join("\n")}\n`;
  const headers = { "content-type": single ? "application/json" : "application/x-ndjson" };
  for (;;) {
    const beganMs = systemClock.monotonicMs();
    const path = target.pathname + target.search;
    const answer = await pool.request({ method: "POST", path, headers, body, signal: io.signal }).catch((error: Error) => {
      io.signal.throwIfAborted();
      throw new WireError("UNAVAILABLE", `no answer from ${target.origin}: ${error.message}`);
    });
    const text = await answer.body.text();
    if (answer.statusCode === 429 || answer.statusCode === 507) {
      await systemClock.sleep(RETRY_MS, io.signal);
      continue;
    }
    latencies.add(systemClock.monotonicMs() - beganMs);
    count(answer.statusCode, text, records.length, totals);
    if (answer.statusCode === 404 || answer.statusCode === 401) throw new WireError("NOT_FOUND", text.trim());
    return;
  }
}

function count(status: number, text: string, records: number, totals: Totals): void {
  if (status >= 500) {
    totals.failed += records;
  } else if (status >= 300) {
    totals.rejected += records;
  } else if (records === 1) {
    totals.accepted++;
  } else {
    const { accepted, rejected = [] } = JSON.parse(text) as { accepted: number; rejected?: readonly unknown[] };
    totals.accepted += accepted;
    totals.rejected += rejected.length;
  }
}

function showProgress(totals: Totals, startMs: number, io: CliIo): () => void {
  let cancel: () => void = () => undefined;
  const show = (): void => {
    const seconds = (systemClock.monotonicMs() - startMs) / 1000;
    const { sent, accepted, rejected, failed } = totals;
    const line = `${seconds.toFixed(1)}s  sent ${sent}  accepted ${accepted}  rejected ${rejected}  failed ${failed}`;
    io.err(io.isTerminal ? `\r\u001b[K${line}` : `${line}\n`);
    cancel = systemClock.after(PROGRESS_MS, show);
  };
  cancel = systemClock.after(PROGRESS_MS, show);
  return () => {
    cancel();
    if (io.isTerminal) io.err("\n");
  };
}
