// What the API needs of the rest of the platform.
import type { Clock, Logger, Random, TokenBook } from "@millrace/base";
import type {
  DeadLetters,
  DefinitionRepository,
  FileStatistics,
  LevelStatistics,
  SinkKey,
  SinkLag,
  SourcePurge,
  Target,
  TargetSettings,
  WorkTurns,
} from "@millrace/ingest";
import type { ProgramEvaluator } from "@millrace/jsonata";
import type { ApiUrls } from "./api-responses.ts";
import type { ProjectTokens } from "./project-tokens.ts";
import type { TaskStore } from "./task-store.ts";

/** Who answers for statistics: the pipeline. */
export interface StatisticsPort {
  total(key: SinkKey): LevelStatistics;
  /** How far the sink's table is behind now. */
  lag(key: SinkKey): SinkLag;
  files(key: SinkKey, options: { readonly failedFiles?: boolean }): readonly FileStatistics[];
  /** Lets the statistics of sinks begin anew; they are seen so when it resolves. */
  clear(sinks: readonly SinkKey[], signal: AbortSignal): Promise<void>;
}

/** Who knows the targets of an installation. */
export interface TargetsPort {
  /** @throws {WireError} when there is none such here */
  at(settings: TargetSettings, signal: AbortSignal): Promise<Pick<Target, "check" | "prepare">>;
}

export interface ApiDependencies {
  readonly repository: DefinitionRepository;
  readonly tasks: TaskStore;
  readonly tokens: Pick<ProjectTokens, "create" | "list" | "remove">;
  /** Who a token belongs to. */
  readonly book: TokenBook;
  readonly statistics: StatisticsPort;
  readonly deadLetters: Pick<DeadLetters, "count" | "counts" | "list" | "get" | "replay">;
  readonly targets: TargetsPort;
  readonly purge: Pick<SourcePurge, "begin" | "progress">;
  readonly evaluator: ProgramEvaluator;
  /** For work that takes long in this process. */
  readonly turns: WorkTurns;
  /** Resolves once this process's doors know what the store held at `revision`. */
  readonly settled: (revision: number, signal: AbortSignal) => Promise<void>;
  readonly urls: () => ApiUrls;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Aborts when the API shuts down. */
  readonly signal: AbortSignal;
}
