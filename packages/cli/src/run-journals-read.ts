// `millrace journals read`: bytes of the matching journals to stdout or a file.
//
// R1 What is read of one journal up to a fragment's end is written in one go: no append goes across it, so that appends
//    of several journals are not mixed up with each other.
// R2 With --block journals that begin to match are read too, from 0 (or their write head, with --tail); of those that
//    no longer match no more is read.
// R3 Offsets are written when all that was read before them is.
import { abortScope, strictText, WireError, type AbortScope } from "@millrace/base";
import { readHead, readJournal, watchJournals } from "@millrace/client";
import type { ListedJournal } from "@millrace/protocol";
import { UsageError, type CliIo } from "./cli-io.ts";
import { awake, selectedJournals, selectorOf } from "./journal-selection.ts";
import { readOffsets, retireOffsets, writeOffsets } from "./offsets-file.ts";
import { openReadOutput, type ReadOutput } from "./read-output.ts";
import { withBroker, type BrokerDoor, type BrokerDoorOptions } from "./system-broker-door.ts";
import { Turns } from "./turns.ts";
import { unixSeconds } from "./unix-seconds.ts";

export interface ReadOptions extends BrokerDoorOptions {
  readonly selector: string;
  readonly block?: true;
  readonly tail?: true;
  readonly offset?: string;
  readonly output: string;
  readonly offsets?: string;
  readonly offsetsOut?: string;
  readonly from?: string;
  readonly json?: true;
}

export async function runRead(options: ReadOptions, io: CliIo): Promise<void> {
  const begin = beginOffset(options);
  const beginModTime = unixSeconds("--from", options.from);
  const offsets = options.offsets === undefined ? new Map<string, number>() : readOffsets(options.offsets);
  await withBroker(options, io, async (door) => {
    const journals = await selectedJournals(door.transport, options.selector, io.signal);
    if (options.offsets !== undefined && options.offsets === options.offsetsOut)
      retireOffsets(options.offsets);
    const output = await openReadOutput(options.output, io);
    const readers = new Readers({ door, io, output, options, begin, beginModTime, offsets });
    try {
      await readers.run(journals);
    } finally {
      await output.close();
    }
    if (options.offsetsOut !== undefined) writeOffsets(options.offsetsOut, offsets); // R3
  });
}

interface ReadersOptions {
  readonly door: BrokerDoor;
  readonly io: CliIo;
  readonly output: ReadOutput;
  readonly options: ReadOptions;
  /** Of journals that `offsets` does not have; -1 is the write head. */
  readonly begin: number;
  readonly beginModTime: number;
  /** Where the next read of each journal begins. */
  readonly offsets: Map<string, number>;
}

class Readers {
  readonly #with: ReadersOptions;
  readonly #turns = new Turns();
  readonly #running = new Map<string, { readonly stop: AbortScope; readonly done: Promise<void> }>();
  /** Of all readers: somebody interrupts, or one of them failed. */
  readonly #stop: AbortScope;
  #failure: Error | undefined;

  constructor(options: ReadersOptions) {
    this.#with = options;
    this.#stop = abortScope(options.io.signal);
  }

  /** Reads `journals` to their ends; with --block until it is interrupted, which is no failure. */
  async run(journals: readonly ListedJournal[]): Promise<void> {
    const { door, options } = this.#with;
    const { signal } = this.#stop;
    this.#adapt(journals);
    try {
      if (options.block === true) {
        for await (const now of watchJournals(door, selectorOf(options.selector), signal)) this.#adapt(now); // R2
      }
    } catch (error) {
      this.#fail(error);
    }
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map(({ done }) => done));
    this.#stop.dispose();
    if (this.#failure !== undefined) throw this.#failure;
  }

  #adapt(journals: readonly ListedJournal[]): void {
    const wanted = new Set(awake(journals).map(({ spec }) => spec.name));
    for (const journal of wanted) if (!this.#running.has(journal)) this.#start(journal);
    for (const [journal, { stop }] of this.#running) {
      if (!wanted.has(journal)) stop.abort(new Error("no longer matched"));
    }
  }

  #start(journal: string): void {
    const stop = abortScope(this.#stop.signal);
    const done = this.#read(journal, stop.signal)
      .catch((error: unknown) => {
        if (!stop.signal.aborted) this.#fail(error, journal);
      })
      .finally(() => {
        stop.dispose();
        this.#running.delete(journal);
      });
    this.#running.set(journal, { stop, done });
  }

  #fail(error: unknown, journal?: string): void {
    if (this.#stop.signal.aborted) return;
    const { code, message } = WireError.from(error);
    const { door, options } = this.#with;
    const isGone = code === "JOURNAL_NOT_FOUND" || code === "SUSPENDED";
    if (journal !== undefined && options.block === true && isGone) {
      door.logger.info("read-ended", { journal, code, message });
      return;
    }
    this.#failure = error as Error;
    this.#stop.abort(error);
  }

  async #read(journal: string, signal: AbortSignal): Promise<void> {
    const { door, io, output, options, begin, beginModTime, offsets } = this.#with;
    let at = offsets.get(journal) ?? begin;
    if (at === -1) at = (await readHead(door.transport, journal, signal)).writeHead;
    offsets.set(journal, at);
    const wanted = { journal, offset: at, block: options.block === true, beginModTime };
    let hasTurn = false;
    try {
      for await (const event of readJournal(door, wanted, signal)) {
        if (event.kind === "jump") {
          // With --from they were not asked for.
          if (options.from === undefined)
            io.err(`${journal}: offsets [${event.from}, ${event.to}) are gone\n`);
          offsets.set(journal, event.to);
          continue;
        }
        if (!hasTurn) await this.#turns.take(signal);
        hasTurn = true;
        await output.write(options.json === true ? Buffer.from(jsonSpan(journal, event)) : event.bytes);
        const end = event.offset + event.bytes.length;
        offsets.set(journal, end);
        if (end < event.fragmentEnd) continue;
        hasTurn = false; // R1
        this.#turns.give();
      }
    } finally {
      if (hasTurn) this.#turns.give();
    }
  }
}

function beginOffset(options: ReadOptions): number {
  if (options.tail === true && options.offset !== undefined) throw new UsageError("--tail excludes --offset");
  if (options.tail === true) return -1;
  const text = options.offset ?? "0";
  const offset = Number(text);
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(offset) || offset < -1) {
    throw new UsageError(`--offset ${text}: expected a whole number in [-1, ${Number.MAX_SAFE_INTEGER}]`);
  }
  return offset;
}

/** @param span.bytes may end inside a character */
function jsonSpan(journal: string, span: { readonly offset: number; readonly bytes: Uint8Array }): string {
  const text = strictText(span.bytes);
  const content = text === undefined ? { base64: Buffer.from(span.bytes).toString("base64") } : { text };
  return `${JSON.stringify({ journal, offset: span.offset, ...content })}\n`;
}
