export type {
  CommitOutcome,
  FoundLife,
  JournalLife,
  LocalFragment,
  Spool,
  SpoolAppend,
  Spools,
} from "./spools.ts";
export { changed, RegisterMarks, type RegisterMark, type RegistersChange } from "./spool-registers.ts";
export { rollTo } from "./spool-roll.ts";
export { openSpools, type SpoolPorts } from "./durable-spools.ts";
export { QuarantineRelease, type AsideFragment, type Released } from "./quarantine-release.ts";
export { QUARANTINE_DIR, SPOOLS_DIR } from "./spool-paths.ts";
export { SPOOL_DEFAULTS, type SpoolOptions } from "./spool-limits.ts";
export { addCover, coverDifference, longestOverlapping, type Span } from "./fragment-index-cover.ts";
export {
  FragmentIndex,
  remoteEntry,
  type FragmentEntry,
  type IndexSummary,
  type LocalEntry,
  type RemoteEntry,
} from "./fragment-index.ts";
export {
  modTimeOf,
  pageOfIndex,
  queryIndex,
  type IndexAnswer,
  type IndexPage,
  type IndexPageRequest,
  type IndexRequest,
} from "./fragment-index-query.ts";
export { inlineCodecs, pooledCodecs, prepareCodecs, type ByteStream, type Codecs } from "./codec.ts";
export {
  isIntact,
  listRemoteFragments,
  modTimeSeconds,
  readRemoteFragment,
  type RemoteJournal,
  type RemotePorts,
} from "./remote-fragments.ts";
export { firstRefresh, RemoteRefresh, type RefreshedJournal, type RefreshPorts } from "./remote-refresh.ts";
export {
  Persister,
  PERSISTER_LIMITS,
  type Backlog,
  type PersistedJournal,
  type PersisterLimits,
  type PersisterPorts,
  type PersistHandle,
  type PersistSettings,
} from "./persister.ts";
export type { RetentionPolicy } from "./persister-retention.ts";
export { StoreHealth, type FailingStore, type StoreHealthPorts } from "./store-health.ts";
export type { StoreMark } from "./spool-image.ts";
export { RunningSha1 } from "./system-sha1.ts";
