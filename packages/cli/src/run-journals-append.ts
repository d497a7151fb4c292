// `millrace journals append`: stdin or a file as one atomic append, or record by record to one or several journals.
import { createReadStream } from "node:fs";
import { systemRandom, WireError } from "@millrace/base";
import { AppendService, append, type AppendOptions as ClientOptions, type Commit } from "@millrace/client";
import { parseDuration } from "@millrace/protocol";
import { UsageError, type CliIo } from "./cli-io.ts";
import { selectedJournal, selectedJournals } from "./journal-selection.ts";
import { RecordFrames, FIXED_HEADER_BYTES, type Framing } from "./record-frames.ts";
import { recordMapping, type Mapping } from "./record-mapping.ts";
import { withBroker, type BrokerDoor, type BrokerDoorOptions } from "./system-broker-door.ts";

export interface AppendOptions extends BrokerDoorOptions {
  readonly selector: string;
  readonly input: string;
  readonly framing: "none" | Framing;
  readonly mapping?: Mapping;
  readonly base64?: true;
  readonly timeout?: string;
  readonly json?: true;
}

/** Bytes of records that go into one append call when nothing but one journal is to be chosen; it batches further. */
const BATCH_BYTES = 64 * 1024;
/** One atomic append is held in memory. */
const ATOMIC_BYTES_MAX = 1024 * 1024 * 1024;
/** Of `--framing none`: longer than leases last, after which a journal has another primary. */
const PATIENCE_MS = 60_000;

export async function runAppend(options: AppendOptions, io: CliIo): Promise<void> {
  const { framing, mapping } = options;
  checkOptions(options);
  const patience = patienceOf(options);
  await withBroker(options, io, async (door) => {
    const { transport } = door;
    // One journal unless a mapping is asked for: whoever meant one shall not fill several by a selector too wide.
    const journals =
      mapping === undefined
        ? [await selectedJournal(transport, options.selector, io.signal)]
        : (await selectedJournals(transport, options.selector, io.signal)).map(({ spec }) => spec.name);
    const input =
      options.input === "-" ? io.stdin : (createReadStream(options.input) as AsyncIterable<Uint8Array>);
    const appending =
      framing === "none"
        ? appendAll(door, journals, input, { patienceMs: PATIENCE_MS, ...patience }, io.signal).then(
            (one) => [one],
          )
        : appendRecords(door, journals, { ...options, framing, patience }, input, io.signal);
    const commits = await appending.catch((error: unknown) => {
      throw withRemedy(error);
    });
    for (const { journal, begin, end } of commits) {
      if (options.json === true) io.out(`${JSON.stringify({ journal, begin, end })}\n`);
      else io.err(`${journal}: committed [${begin}, ${end})\n`);
    }
  });
}

/** What the broker's status alone does not say. */
function withRemedy(error: unknown): unknown {
  if (!(error instanceof WireError) || error.code !== "INDEX_HAS_GREATER_OFFSET") return error;
  const remedy =
    "its stores have fragments beyond its end; millrace journals reset-head lets it go on behind them";
  return new WireError(error.code, `${error.message}: ${remedy}`, { cause: error });
}

/** @throws {UsageError} for options that exclude each other */
function checkOptions({ framing, mapping = "random", base64 }: AppendOptions): void {
  if (framing === "none" && mapping !== "random") {
    throw new UsageError(`--mapping ${mapping} maps records: it needs --framing lines or fixed`);
  }
  if (base64 === true && (framing !== "lines" || mapping === "random")) {
    throw new UsageError("--base64 is of keys: it needs --framing lines and a --mapping other than random");
  }
}

/** Nothing, unless `--timeout` says how long. @throws {WireError} INVALID_ARGUMENT */
function patienceOf({ timeout }: AppendOptions): Patience {
  if (timeout === undefined) return {};
  try {
    const patienceMs = parseDuration(timeout);
    if (patienceMs >= 0) return { patienceMs };
  } catch {
    // Said below.
  }
  throw new UsageError(`--timeout ${timeout}: expected a duration from 0s on, e.g. 30s`);
}

async function appendAll(
  door: BrokerDoor,
  journals: readonly string[],
  input: AsyncIterable<Uint8Array>,
  patience: Patience,
  signal: AbortSignal,
): Promise<Commit> {
  const journal = recordMapping("random", journals, systemRandom)(undefined);
  return append(door, journal, await collect(input), patience, signal);
}

async function collect(input: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of input) {
    bytes += part.length;
    if (bytes > ATOMIC_BYTES_MAX) {
      const message = `the input is over ${ATOMIC_BYTES_MAX} bytes, too long for one append: try --framing lines`;
      throw new WireError("TOO_LARGE", message);
    }
    parts.push(part);
  }
  return parts;
}

type Patience = Pick<ClientOptions, "patienceMs">;

interface RecordOptions {
  readonly patience: Patience;
  readonly framing: Framing;
  readonly mapping?: Mapping;
  readonly base64?: true;
}

/** @returns what was committed of each journal, in the order of their first records */
async function appendRecords(
  door: BrokerDoor,
  journals: readonly string[],
  { framing, mapping = "random", base64, patience }: RecordOptions,
  input: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<readonly Commit[]> {
  const frames = new RecordFrames(framing);
  const journalOf = recordMapping(mapping, journals, systemRandom);
  const keyOf = framing === "fixed" ? frameKey : base64 === true ? base64Key : lineKey;
  const sender = new Sender(new AppendService(door), patience, signal);
  let key: Uint8Array | undefined;
  try {
    for await (const part of input) {
      const records = frames.push(part);
      if (journals.length === 1 && mapping === "random") {
        for (const batch of batches(records)) await sender.send(journals[0]!, batch);
        continue;
      }
      for (const record of records) {
        if (mapping !== "random" && key === undefined) {
          key = keyOf(record);
          continue;
        }
        await sender.send(journalOf(key), [record]);
        key = undefined;
      }
    }
  } catch (error) {
    // What came before is as good as if the input had ended there.
    await sender.flush();
    throw error;
  }
  const commits = await sender.flush();
  const said = commits.map(({ journal, begin, end }) => `${journal}: [${begin}, ${end})`).join(", ");
  const unit = framing === "lines" ? "line" : "frame";
  if (frames.rest.length > 0 || commits.length === 0) {
    const what = commits.length === 0 ? `the input has no whole ${unit}` : `committed ${said}`;
    const why = framing === "lines" ? "the last line has no newline" : "the last frame is not whole";
    const but = frames.rest.length > 0 && commits.length > 0 ? `, but ${why}` : "";
    throw new WireError(
      "UNPROCESSABLE",
      `${what}${but}: what follows the last whole ${unit} was not appended`,
    );
  }
  if (key !== undefined)
    throw new WireError("UNPROCESSABLE", `committed ${said}, but the last key has no record`);
  return commits;
}

/** Records together, up to a size. */
function* batches(records: readonly Uint8Array[]): Generator<readonly Uint8Array[]> {
  let batch: Uint8Array[] = [];
  let bytes = 0;
  for (const record of records) {
    batch.push(record);
    bytes += record.length;
    if (bytes < BATCH_BYTES) continue;
    yield batch;
    [batch, bytes] = [[], 0];
  }
  if (batch.length > 0) yield batch;
}

/** Hands records to the service as far as it has room, and keeps the first and last commit of each journal. */
class Sender {
  readonly #service: AppendService;
  /** One object: appends with the same share batches. */
  readonly #patience: Patience;
  readonly #signal: AbortSignal;
  readonly #spans = new Map<string, { readonly first: Promise<Commit>; last: Promise<Commit> }>();

  constructor(service: AppendService, patience: Patience, signal: AbortSignal) {
    this.#service = service;
    this.#patience = patience;
    this.#signal = signal;
  }

  async send(journal: string, records: readonly Uint8Array[]): Promise<void> {
    const bytes = records.reduce((sum, { length }) => sum + length, 0);
    await this.#service.room(bytes, this.#signal);
    const { done } = this.#service.append(journal, records, this.#patience);
    const span = this.#spans.get(journal);
    if (span === undefined) this.#spans.set(journal, { first: done, last: done });
    else span.last = done;
  }

  flush(): Promise<readonly Commit[]> {
    const spans = [...this.#spans.values()];
    return Promise.all(
      spans.map(async ({ first, last }) => ({ ...(await last), begin: (await first).begin })),
    );
  }
}

function lineKey(line: Uint8Array): Uint8Array {
  let { length } = line;
  while (length > 0 && (line[length - 1] === 0x0a || line[length - 1] === 0x0d)) length--;
  return line.subarray(0, length);
}

/** @throws {WireError} INVALID_ARGUMENT */
function base64Key(line: Uint8Array): Uint8Array {
  const text = Buffer.from(lineKey(line)).toString();
  if (/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text))
    return Buffer.from(text, "base64");
  throw new WireError("INVALID_ARGUMENT", `the key ${JSON.stringify(text)} is not base64`);
}

function frameKey(frame: Uint8Array): Uint8Array {
  return frame.subarray(FIXED_HEADER_BYTES);
}
