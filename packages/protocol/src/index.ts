export {
  APPEND_SUSPEND,
  COMPRESSION_CODEC,
  FLAG,
  STATUS,
  SUSPEND_LEVEL,
  type AppendSuspend,
  type CompressionCodec,
  type FlagName,
  type Status,
  type SuspendLevel,
} from "./enums.ts";
export { compareText } from "./text-order.ts";
export {
  compareLabels,
  EMPTY_LABELS,
  equalLabelSets,
  extendedLabels,
  intersectLabels,
  label,
  labelSet,
  sortedSet,
  subtractLabels,
  unionLabels,
  valueOf,
  valuesOf,
  withAddedLabel,
  withLabel,
  withoutLabel,
  type Label,
  type LabelSet,
} from "./label-set.ts";
export { ANY_LABELS, type LabelSelector } from "./label-selector.ts";
export type { BrokerSpec, ProcessId, ProcessSpec } from "./process.ts";
export { EMPTY_ROUTE, type EtcdHeader, type Header, type Route } from "./route.ts";
export type { FragmentSpec, JournalSpec, Suspend } from "./journal-spec.ts";
export { EMPTY_SHA1, ZERO_SHA1, type Fragment, type Sha1 } from "./fragment.ts";
export type { ReadRequest, ReadResponse } from "./read-message.ts";
export type { AppendPreamble, AppendRequest, AppendResponse } from "./append-message.ts";
export type { ReplicateRequest, ReplicateResponse } from "./replicate-message.ts";
export type { ListedJournal, ListRequest, ListResponse } from "./list-message.ts";
export type { ApplyChange, ApplyRequest, ApplyResponse } from "./apply-message.ts";
export type { FragmentsRequest, FragmentsResponse, ListedFragment } from "./fragments-message.ts";
export type { FragmentStoreHealthRequest, FragmentStoreHealthResponse } from "./store-health-message.ts";
