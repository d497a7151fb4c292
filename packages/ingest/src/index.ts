export {
  DEFAULT_CONDITIONS,
  partitionJournal,
  sinkPath,
  sourcePath,
  type By,
  type Change,
  type Column,
  type LevelConditions,
  type SinkConditions,
  type SinkDefinition,
  type SinkKey,
  type SourceDefinition,
  type SourceKey,
  type Version,
} from "./definitions.ts";
export {
  SYSTEM_COLUMNS,
  type LoadOutcome,
  type LoadRequest,
  type PartitionLoad,
  type StagedObject,
  type Target,
} from "./target.ts";
export { encodeFrameHead, FRAME_LIMITS, type Frame, type FrameHeader, type FrameLimits } from "./frame.ts";
export { FrameDecoder } from "./frame-decoder.ts";
export { FILTER_PRODUCERS_MAX, FrameFilter, type FrameFilterCheckpoint } from "./frame-filter.ts";
