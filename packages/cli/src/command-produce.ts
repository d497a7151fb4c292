// `millrace produce`: sends records to a source, and says how long the answers took.
import { closeSync, createReadStream, openSync } from "node:fs";
import { systemClock } from "@millrace/base";
import { Option, type Command } from "commander";
import { UsageError, wholeNumber, type CliIo } from "./cli-io.ts";
import { Latencies } from "./latencies.ts";
import { batchesOf, generatedLines, inputLines, repeatedLines, textRecords } from "./produce-input.ts";
import type { Totals } from "./produce-run.ts";

interface ProduceOptions {
  readonly input: string;
  readonly repeat?: string;
  readonly text?: string;
  readonly generate?: string;
  readonly count?: string;
  readonly rate?: string;
  readonly connections: string;
  readonly batch: string;
  readonly json?: true;
}

const PROGRESS_MS = 1000;
const GENERATED_COUNT = 10_000;

export function addProduceCommand(program: Command, io: CliIo): void {
  program
    .command("produce")
    .description(
      "Send records to a source; the last line of stdout is a JSON summary with latency percentiles",
    )
    .argument("<url>", "URL of the source, as sources list prints it")
    .addOption(new Option("-i, --input <FILE>", "file with one JSON record a line").default("-", "stdin"))
    .option("--repeat <N>", "replay the file this many times")
    .option("--text <FIELD>", "take each line as text, and send it as {FIELD: line}")
    .option("--generate <BYTES>", "generate records of this size instead")
    .option(
      "-n, --count <N>",
      `records to send (default: all of the input; ${GENERATED_COUNT} generated ones)`,
    )
    .option("--rate <N>", "records a second (default: as fast as they are accepted)")
    .addOption(new Option("-c, --connections <N>", "requests under way at a time").default("8", "8"))
    .addOption(
      new Option("-b, --batch <N>", "records in one request; more than 1 go as NDJSON").default("1", "1"),
    )
    .option("--json", "only the summary, no progress on stderr")
    .action((url: string, options: ProduceOptions) => produce(url, options, io));
}

async function produce(url: string, options: ProduceOptions, io: CliIo): Promise<void> {
  const records = recordsOf(options, io);
  const batch = wholeNumber("--batch", options.batch, 100_000);
  const run = {
    url: sourceUrl(url),
    batches: batchesOf(records, batch, countOf(options)),
    connections: wholeNumber("--connections", options.connections, 10_000),
    rate: options.rate === undefined ? Number.POSITIVE_INFINITY : wholeNumber("--rate", options.rate),
  };
  const { Producer } = await import("./produce-run.ts");
  const latencies = new Latencies();
  const producer = new Producer(run, latencies, io.signal);
  const { totals } = producer;
  const startMs = systemClock.monotonicMs();
  const stopProgress = options.json === true ? () => undefined : showProgress(totals, startMs, io);
  try {
    await producer.run();
  } finally {
    stopProgress();
  }
  const { failure, firstProblem } = producer;
  // Nothing was done: the reason says it all.
  if (failure !== undefined && totals.accepted === 0) throw failure;
  const seconds = Math.max(0.001, Math.round(systemClock.monotonicMs() - startMs) / 1000);
  const recordsPerSecond = Math.round(totals.accepted / seconds);
  const summary = { ...totals, seconds, recordsPerSecond, latencyMs: latencies.summary() };
  io.out(`${JSON.stringify(summary)}\n`);
  if (firstProblem !== undefined)
    io.err(`millrace: not all records were taken; first problem: ${firstProblem}\n`);
  if (failure !== undefined) throw failure;
  if (totals.failed + totals.rejected > 0) io.exitCode(1);
}

function sourceUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol)) return url;
  throw new UsageError(`"${text}" is not a URL (expected http://HOST:PORT/stream/PROJECT/SOURCE/SECRET)`);
}

function recordsOf(options: ProduceOptions, io: CliIo): AsyncIterable<string> {
  const { input, text } = options;
  const repeat = options.repeat === undefined ? 1 : wholeNumber("--repeat", options.repeat);
  if (options.generate !== undefined)
    return generatedLines(wholeNumber("--generate", options.generate, 1_000_000));
  if (repeat > 1 && input === "-") throw new UsageError("--repeat replays a file: it needs --input");
  if (input !== "-") closeSync(openSync(input, "r")); // fails now if it cannot be read
  const open = (): AsyncIterable<string> =>
    inputLines(input === "-" ? io.stdin : (createReadStream(input) as AsyncIterable<Uint8Array>));
  const lines = repeatedLines(open, repeat);
  return text === undefined ? lines : textRecords(lines, text);
}

function countOf(options: ProduceOptions): number {
  if (options.count !== undefined) return wholeNumber("--count", options.count);
  return options.generate === undefined ? Number.POSITIVE_INFINITY : GENERATED_COUNT;
}

function showProgress(totals: Totals, startMs: number, io: CliIo): () => void {
  let isShown = false;
  const show = (): void => {
    const seconds = (systemClock.monotonicMs() - startMs) / 1000;
    const { sent, accepted, rejected, failed } = totals;
    const line = `${seconds.toFixed(1)}s  sent ${sent}  accepted ${accepted}  rejected ${rejected}  failed ${failed}`;
    io.err(io.isTerminal ? `\r\u001b[K${line}` : `${line}\n`);
    isShown = true;
    cancel = systemClock.after(PROGRESS_MS, show);
  };
  let cancel = systemClock.after(PROGRESS_MS, show);
  return () => {
    cancel();
    if (io.isTerminal && isShown) io.err("\n");
  };
}
