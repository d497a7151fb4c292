export { modelBytes } from "./model-bytes.ts";
export { ModelCatalog, modelSink } from "./model-catalog.ts";
export { ModelJournals, type JournalFaults, type ModelJournalsOptions } from "./model-journals.ts";
export {
  ModelTarget,
  type ModelRow,
  type ModelTable,
  type ModelTargetOptions,
  type TargetFaults,
} from "./model-target.ts";
export { PartitionPublisher, QueueBudget, type FramePort } from "./publisher.ts";
export { BufferPool, type AppendWaiter } from "./publisher-frame.ts";
export { publisherMetrics } from "./publisher-metrics.ts";
export { ColumnStage } from "./staging-columns.ts";
export { stagedObject } from "./staging-parquet.ts";
export { storedSlice } from "./storage-fixtures.ts";
