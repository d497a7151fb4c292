// How much of what was accepted may wait for its table: of each sink, and of all together. What is loaded is removed by
// the clean-up, so this is what fills a disk while a target is away.
//
// Q1 What waits is looked at every now and then, never for a record: in between a sink may go beyond its quota by what
//    comes in that time.
// Q2 That a quota is reached is logged once in five minutes for each sink.
// Q3 Dead letters have bounds of their own, and count with the records where those have a quota. They never take the
//    place of records: whoever sends what cannot be mapped does not keep out what can.
import { sizeText, type Clock, type Logger } from "@millrace/base";
import { sinkPath, type SinkKey } from "./definitions.ts";
import type { DoorError } from "./http-source-answers.ts";
import type { LetterUse } from "./letter-use.ts";
import type { OnAppended } from "./publisher.ts";

/** Who knows what waits. */
export interface DiskUse {
  /** Told of what this process has appended: whoever reads it may be away. */
  readonly onAppended: OnAppended;
  /** Bytes of a sink's partitions that are not in its table. */
  sinkBytes(sink: SinkKey): number;
  /** The same of all sinks. */
  allBytes(): number;
}

export interface DiskQuotaPorts {
  readonly use: Pick<DiskUse, "sinkBytes" | "allBytes">;
  readonly letters: Pick<LetterUse, "bytes" | "allBytes" | "onRefused">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of all sinks together; 0: any number. */
  readonly allBytesMax: number;
}

const SINK_LOOK_MS = 200;
/** Looking at all sinks takes longer. */
const ALL_LOOK_MS = 1000;
const LOG_MS = 5 * 60_000;
const RETRY_SECONDS = 5;
/** Letters beyond the sink's size are removed some minutes later; so many times it may stand meanwhile. */
export const LETTER_SIZES_MAX = 2;
/** Letters go with the next round of the clean-up. */
const LETTERS_RETRY_SECONDS = 60;

export class DiskQuotas {
  readonly #ports: DiskQuotaPorts;
  readonly #all: Sampled;

  constructor(ports: DiskQuotaPorts) {
    this.#ports = ports;
    this.#all = new Sampled(ports.clock, ALL_LOOK_MS, () => ports.use.allBytes());
  }

  /** Of a sink; undefined when nothing bounds it. @param bytesMax 0: any number */
  of(sink: SinkKey, bytesMax: number): SinkQuota | undefined {
    if (bytesMax === 0 && this.#ports.allBytesMax === 0) return undefined;
    return new SinkQuota(this.#ports, this.#all, sink, bytesMax);
  }

  /** Of a sink's dead letters. @param bounds `sizeBytes` that are kept; `bytesMax` of the sink, 0: any number */
  ofLetters(sink: SinkKey, bounds: LetterBounds): LetterQuota {
    return new LetterQuota(this.#ports, this.#all, sink, bounds);
  }
}

export interface LetterBounds {
  readonly sizeBytes: number;
  readonly bytesMax: number;
}

/** Q3 */
export class LetterQuota {
  readonly #ports: DiskQuotaPorts;
  readonly #sink: SinkKey;
  readonly #bounds: LetterBounds;
  readonly #own: Sampled;
  readonly #all: Sampled;
  readonly #log: QuotaLog;

  constructor(ports: DiskQuotaPorts, all: Sampled, sink: SinkKey, bounds: LetterBounds) {
    this.#ports = ports;
    this.#sink = sink;
    this.#bounds = bounds;
    this.#own = new Sampled(ports.clock, SINK_LOOK_MS, () => ports.use.sinkBytes(sink));
    this.#all = all;
    this.#log = new QuotaLog(ports, sink);
  }

  /** Why the sink takes no dead letter now; undefined: it does. */
  refusal(): DoorError | undefined {
    const problem = this.#problem();
    if (problem === undefined) return undefined;
    const message = `The record cannot be mapped, and ${problem}.`;
    this.#ports.letters.onRefused(this.#sink);
    this.#log.note(message);
    return { status: 507, name: "insufficientStorage", message, retryAfter: LETTERS_RETRY_SECONDS };
  }

  #problem(): string | undefined {
    const { letters, allBytesMax } = this.#ports;
    const { sizeBytes, bytesMax } = this.#bounds;
    const own = letters.bytes(this.#sink);
    const lettersMax = LETTER_SIZES_MAX * sizeBytes;
    if (own > lettersMax) return `dead letters of ${sizeText(own)} are kept, at most ${sizeText(lettersMax)}`;
    const sink = bytesMax === 0 ? 0 : own + this.#own.bytes();
    if (sink > bytesMax)
      return `records and dead letters of the sink take ${sizeText(sink)}, its quota is ${sizeText(bytesMax)}`;
    const all = allBytesMax === 0 ? 0 : letters.allBytes + this.#all.bytes();
    if (all <= allBytesMax) return undefined;
    const quota = sizeText(allBytesMax);
    return `records and dead letters of all sinks take ${sizeText(all)}, their quota is ${quota}`;
  }
}

export class SinkQuota {
  readonly #ports: DiskQuotaPorts;
  readonly #bytesMax: number;
  readonly #own: Sampled;
  readonly #all: Sampled;
  readonly #log: QuotaLog;

  constructor(ports: DiskQuotaPorts, all: Sampled, sink: SinkKey, bytesMax: number) {
    this.#ports = ports;
    this.#log = new QuotaLog(ports, sink);
    this.#bytesMax = bytesMax;
    this.#own = new Sampled(ports.clock, SINK_LOOK_MS, () => ports.use.sinkBytes(sink));
    this.#all = all;
  }

  /** Why the sink takes no record now; undefined: it does. */
  refusal(): DoorError | undefined {
    const bytesMax = this.#bytesMax;
    const own = bytesMax === 0 ? 0 : this.#own.bytes();
    if (own > bytesMax) {
      return this.#refuse(
        `Records of ${sizeText(own)} wait for the table of the sink, its quota is ${sizeText(bytesMax)}.`,
      );
    }
    const { allBytesMax } = this.#ports;
    const all = allBytesMax === 0 ? 0 : this.#all.bytes();
    if (all <= allBytesMax) return undefined;
    return this.#refuse(
      `Records of ${sizeText(all)} wait for the tables of all sinks, their quota is ${sizeText(allBytesMax)}.`,
    );
  }

  #refuse(message: string): DoorError {
    this.#log.note(message);
    return { status: 507, name: "insufficientStorage", message, retryAfter: RETRY_SECONDS };
  }
}

/** Q2 */
class QuotaLog {
  readonly #ports: Pick<DiskQuotaPorts, "clock" | "logger">;
  readonly #sink: SinkKey;
  #loggedMs = Number.NEGATIVE_INFINITY;

  constructor(ports: Pick<DiskQuotaPorts, "clock" | "logger">, sink: SinkKey) {
    this.#ports = ports;
    this.#sink = sink;
  }

  note(message: string): void {
    const { clock, logger } = this.#ports;
    const nowMs = clock.monotonicMs();
    if (nowMs - this.#loggedMs < LOG_MS) return;
    this.#loggedMs = nowMs;
    logger.warn("quota-reached", { sink: sinkPath(this.#sink), message });
  }
}

/** A number that is asked for again after a while (Q1). */
class Sampled {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #ask: () => number;
  #bytes = 0;
  #atMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, everyMs: number, ask: () => number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#ask = ask;
  }

  bytes(): number {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#atMs >= this.#everyMs) {
      this.#atMs = nowMs;
      this.#bytes = this.#ask();
    }
    return this.#bytes;
  }
}
