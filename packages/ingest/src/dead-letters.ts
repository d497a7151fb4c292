// Dead letters of sinks as the API has them: counted, shown and replayed.
import { DeadLetterList, type LetterCount, type LetterPage, type ListedLetter } from "./dead-letter-list.ts";
import {
  DeadLetterReplay,
  type ReplayOptions,
  type ReplayOutcome,
  type ReplayPorts,
} from "./dead-letter-replay.ts";
import type { EffectiveSink, SinkLife, SourceKey } from "./definitions.ts";

export class DeadLetters {
  readonly #list: DeadLetterList;
  readonly #replay: DeadLetterReplay;

  constructor(ports: ReplayPorts) {
    this.#list = new DeadLetterList(ports);
    this.#replay = new DeadLetterReplay(ports);
  }

  count(sink: SinkLife, signal: AbortSignal): Promise<LetterCount | undefined> {
    return this.#list.count(sink, signal);
  }

  counts(
    source: SourceKey,
    sinks: readonly SinkLife[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, LetterCount>> {
    return this.#list.counts(source, sinks, signal);
  }

  list(
    sink: SinkLife,
    page: { readonly afterId: string; readonly limit: number },
    signal: AbortSignal,
  ): Promise<LetterPage> {
    return this.#list.list(sink, page, signal);
  }

  get(sink: SinkLife, id: string, signal: AbortSignal): Promise<ListedLetter | undefined> {
    return this.#list.get(sink, id, signal);
  }

  replay(sink: EffectiveSink, options: ReplayOptions, signal: AbortSignal): Promise<ReplayOutcome> {
    return this.#replay.run(sink, options, signal);
  }
}
