// How much of the disk dead letters take, as far as this process appends to their journals.
//
// U1 Letters of a sink are what lies between the oldest fragment of its journal and the end of the last append. The
//    oldest is asked for now and then, while letters come or are refused, and never waited for: in between the clean-up
//    may have removed more, and other processes may have appended more.
// U2 A journal of which nothing is known yet counts from the first append of this process.
import { TaskGroup, WireError, type Clock, type Counter, type Logger, type Metrics } from "@millrace/base";
import { sinkPath, type SinkKey } from "./definitions.ts";
import type { OnAppended } from "./publisher.ts";

export interface LetterUsePorts {
  /** Where the oldest letter begins that is still there; undefined: there is none. @throws {WireError} of the broker */
  readonly oldestLetter: (journal: string, signal: AbortSignal) => Promise<number | undefined>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

interface Letters {
  readonly journal: string;
  begin: number;
  end: number;
  lookedMs: number;
}

/** Between two looks at a journal. */
const LOOK_MS = 10_000;

export class LetterUse {
  readonly #ports: LetterUsePorts;
  readonly #tasks: TaskGroup;
  readonly #refused: Counter;
  /** By path of the sink. */
  readonly #sinks = new Map<string, Letters>();
  #allBytes = 0;

  /** @param onFatal called with a failure that is a bug */
  constructor(ports: LetterUsePorts, onFatal: (error: unknown) => void) {
    this.#ports = ports;
    this.#tasks = new TaskGroup("dead-letter use", (_task, error) => onFatal(error));
    const bytes = ports.metrics.gauge(
      "millrace_ingest_dead_letter_bytes",
      "Bytes of dead letters in the journals that this process appends to",
    );
    ports.metrics.beforeRender(() => bytes.set(this.#allBytes));
    this.#refused = ports.metrics.counter(
      "millrace_ingest_dead_letters_refused_total",
      "Records that could not be mapped and were refused, since there are too many dead letters",
    );
  }

  get allBytes(): number {
    return this.#allBytes;
  }

  bytes(sink: SinkKey): number {
    const letters = this.#sinks.get(sinkPath(sink));
    return letters === undefined ? 0 : letters.end - letters.begin;
  }

  readonly onAppended: OnAppended = (sink, journal, end) => {
    const path = sinkPath(sink);
    let letters = this.#sinks.get(path);
    if (letters?.journal !== journal) {
      if (letters !== undefined) this.#set(letters, letters.end, letters.end); // of an earlier life
      letters = { journal, begin: end, end, lookedMs: Number.NEGATIVE_INFINITY }; // U2
      this.#sinks.set(path, letters);
    }
    this.#set(letters, letters.begin, Math.max(letters.end, end));
    this.#look(letters);
  };

  /** A record was refused, since a sink, or all together, have too many letters. */
  onRefused(sink: SinkKey): void {
    this.#refused.add(1);
    const own = this.#sinks.get(sinkPath(sink));
    if (own !== undefined) this.#look(own);
    let oldest: Letters | undefined;
    for (const letters of this.#sinks.values()) {
      if (letters.end > letters.begin && letters.lookedMs < (oldest?.lookedMs ?? Number.POSITIVE_INFINITY))
        oldest = letters;
    }
    if (oldest !== undefined) this.#look(oldest);
  }

  close(): Promise<void> {
    return this.#tasks.close();
  }

  /** Asks what is left of a journal, unless it was asked lately. */
  #look(letters: Letters): void {
    const { clock, oldestLetter, logger } = this.#ports;
    const nowMs = clock.monotonicMs();
    if (nowMs - letters.lookedMs < LOOK_MS) return;
    letters.lookedMs = nowMs;
    const { journal, end } = letters;
    this.#tasks.spawn(journal, async (signal) => {
      try {
        const oldest = (await oldestLetter(journal, signal)) ?? end;
        this.#set(letters, Math.min(oldest, letters.end), letters.end);
      } catch (thrown) {
        if (signal.aborted) return;
        const error = WireError.from(thrown);
        if (error.code === "JOURNAL_NOT_FOUND") this.#set(letters, letters.end, letters.end);
        else logger.debug("dead-letters-not-measured", { journal, error });
      }
    });
  }

  #set(letters: Letters, begin: number, end: number): void {
    this.#allBytes += end - begin - (letters.end - letters.begin);
    letters.begin = begin;
    letters.end = end;
  }
}
