export {
  DEFAULT_CONDITIONS,
  TEMPLATE_LANGUAGES,
  SIGNALS,
  SOURCE_TYPES,
  takesSignal,
  isPartitionJournal,
  partitionJournal,
  sinkPath,
  sourcePath,
  type By,
  type Change,
  type Column,
  type EffectiveSink,
  type LevelConditions,
  type SettingValue,
  type SettingValues,
  type Signal,
  type SinkConditions,
  type SinkDefinition,
  type SinkKey,
  type SourceDefinition,
  type SourceKey,
  type SourceType,
  type TemplateColumn,
  type Version,
} from "./definitions.ts";
export {
  onlyTarget,
  REMOVED_END,
  SYSTEM_COLUMNS,
  type LoadOutcome,
  type LoadRequest,
  type PartitionLoad,
  type StagedObject,
  type TableFit,
  type Target,
  type TargetRegistry,
} from "./target.ts";
export { shownTarget, targetOf, type TargetRef } from "./target-ref.ts";
export {
  CLICKHOUSE_USER,
  keptPassword,
  placeOf,
  POSTGRES_PORT,
  rolledBack,
  settingsOf,
  connectionProblem,
  type ConnectionProblem,
  SSL_MODES,
  takesNul,
  TARGET_KINDS,
  withoutPassword,
  type ClickHouseSettings,
  type ParquetSettings,
  type PostgresSettings,
  type TargetKind,
  type TargetSettings,
} from "./target-settings.ts";
export { encodeFrameHead, FRAME_LIMITS, type Frame, type FrameHeader, type FrameLimits } from "./frame.ts";
export { FrameDecoder } from "./frame-decoder.ts";
export { KeyWindow } from "./key-window.ts";
export { FILTER_PRODUCERS_MAX, FrameFilter, type FrameFilterCheckpoint } from "./frame-filter.ts";
export { DefinitionMirror } from "./definition-mirror.ts";
export type { LifecycleCommand, SettingChange, SinkCommand, SourceCommand } from "./definition-changes.ts";
export {
  DefinitionRepository,
  type ChangeOutcome,
  type CreateOutcome,
  type NewSink,
  type NewSource,
  type Page,
  type PageRequest,
} from "./definition-repository.ts";
export { versionText, type EntityState } from "./definition-keys.ts";
export { SourcePurge, type PurgeOutcome, type PurgeProgress } from "./source-purge.ts";
export { Purges, type PurgePorts } from "./purges.ts";
export { deletedOf, disabledOf, effectiveSink } from "./definition-effective.ts";
export { normaliseId } from "./definition-id.ts";
export {
  checkSettings,
  settingProblems,
  type SettingProblem,
  describeSettings,
  listOf,
  type SettingKind,
  type SettingScope,
} from "./definition-settings.ts";
export {
  SIGNATURE_SCHEMES,
  SIGNATURE_TOLERANCE_SECONDS,
  type SignatureScheme,
  type WebhookSignature,
} from "./webhook-signature.ts";
export { CannotOpen, decodeSecret, plainSecrets, type SecretBox, type StoredSecret } from "./secret-box.ts";
export { aesSecrets, fileKeys, keysTogether, parseKeyFile, sealedBy } from "./system-aes-box.ts";
export { DataKeyRing } from "./data-key-ring.ts";
export type { KeyContext, KeyFailure, KeyService, MadeKey } from "./key-service.ts";
export { decodeSlice } from "./storage-codec.ts";
export { importedEnds } from "./imported-ends.ts";
export { loadsElsewhere, SINKS_PREFIX } from "./tables-elsewhere.ts";
export { SLICES_PREFIX, STORAGE_PREFIX } from "./storage-keys.ts";
export { parsePath } from "./mapping-path.ts";
export { JsonFields, parseJson } from "./storage-json.ts";
export { DEFAULT_DOOR_LIMITS, DEFINITION_LIMITS, DOOR_RANGES, type DoorLimits } from "./limits.ts";
export {
  openPipeline,
  type DrainOutcome,
  type Pipeline,
  type PipelineComponent,
  type PipelineHealth,
  type PipelineOptions,
  type PipelinePorts,
  type PipelineProblem,
} from "./pipeline.ts";
export { LostBytes, type PartitionIntegrity } from "./partition-integrity.ts";
export { DeadLetters } from "./dead-letters.ts";
export { letterText } from "./dead-letter.ts";
export { oldestLetter } from "./dead-letter-log.ts";
export { DeadLetterJournals } from "./dead-letter-journals.ts";
export type { LetterCount, LetterPage, ListedLetter } from "./dead-letter-list.ts";
export type { ReplayOptions, ReplayOutcome, ReplayProgress } from "./dead-letter-replay.ts";
export type { DeadLetterPort } from "./dispatcher.ts";
export { holdsFrames, Partitions, type PartitionTemplate } from "./partition-registry.ts";
export type { SinkLag } from "./sink-lag.ts";
export type { FileStatistics, LevelStatistics, SinkSnapshot, SliceSnapshot } from "./statistics.ts";
export type { DiskUse } from "./disk-quota.ts";
export { HttpSource, type HttpSourceOptions, type HttpSourcePorts } from "./http-source.ts";
export { systemTurns } from "./system-turns.ts";
export type { DoorPage } from "./http-source-answers.ts";
export type { OtherRequest } from "./http-source-session.ts";
export type { FramePort, PartitionPort } from "./publisher.ts";
export type { Turns } from "./publisher-turns.ts";
export { WorkTurns } from "./work-turns.ts";
export { openStaged, STAGED_BYTES_MAX, StagedRows } from "./staged-rows.ts";
export { DoorSync, publishSeen, type SeenDefinitions } from "./door-sync.ts";
export { ownsAll, type WorkOwner } from "./work-owner.ts";
export { programsProblem, templateProblem, type ProgramProblem } from "./mapping-check.ts";
export {
  sampleRows,
  type SamplePorts,
  type SampleOutcome,
  type SampleRecord,
  type SampleRow,
} from "./mapping-sample.ts";
export { TemplateBudget } from "./mapping-budget.ts";
