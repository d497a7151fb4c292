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
export { JOURNAL_LIMIT_MAX } from "./limits.ts";
export { compareText } from "./text-order.ts";
export { invalid, UnknownValueError, ValidationError, within, withinEach } from "@millrace/protobuf";
export { utf8Length, validatePathComponent, validateToken, type LengthBounds } from "./token.ts";
export { cleanPath, joinPath } from "./go-path.ts";
export { goQuote } from "./go-quote.ts";
export { parseUrl, type UrlParts } from "./go-url.ts";
export { splitMeta, stripMeta, validateJournalName } from "./journal-name.ts";
export {
  compareLabels,
  decodeLabelSet,
  EMPTY_LABELS,
  encodeLabelSet,
  equalLabelSets,
  extendedLabels,
  intersectLabels,
  label,
  labelSet,
  sortedSet,
  subtractLabels,
  unionLabels,
  updatedRegisters,
  validateLabelSet,
  valueOf,
  valuesOf,
  withAddedLabel,
  withLabel,
  withoutLabel,
  type Label,
  type LabelSet,
} from "./label-set.ts";
export {
  ANY_LABELS,
  matchesSelector,
  printLabelSelector,
  validateLabelSelector,
  withNamePrefixes,
  type LabelSelector,
} from "./label-selector.ts";
export { parseLabelSelector } from "./selector-parser.ts";
export {
  ALL_CAPABILITIES,
  CAPABILITY,
  claimsFromJson,
  claimsToJson,
  missingCapability,
  type CapabilityName,
  type Claims,
  type ClaimTimes,
} from "./claims.ts";
export {
  compareProcessIds,
  decodeBrokerSpec,
  dialAddress,
  encodeBrokerSpec,
  equalProcessIds,
  validateBrokerSpec,
  validateEndpoint,
  validateProcessId,
  type BrokerSpec,
  type ProcessId,
  type ProcessSpec,
} from "./process.ts";
export {
  decodeRoute,
  EMPTY_PROCESS_ID,
  EMPTY_ROUTE,
  encodeRoute,
  equivalentRoutes,
  routeToken,
  validateEtcdHeader,
  validateHeader,
  validateRoute,
  type EtcdHeader,
  type Header,
  type Route,
} from "./route.ts";
export {
  decodeJournalSpec,
  desiredReplication,
  encodeJournalSpec,
  mayRead,
  mayWrite,
  newJournalSpec,
  NOT_SUSPENDED,
  resumeOffset,
  SINGLE_VALUE_LABELS,
  suspension,
  validateFragmentSpec,
  validateJournalSpec,
  type FragmentSpec,
  type JournalSpec,
  type Suspend,
} from "./journal-spec.ts";
export { GIVEN_UP_LABEL, givenUpTo, givingUpTo, mayResetHead, wentOn } from "./given-up.ts";
export {
  decodeFragment,
  EMPTY_SHA1,
  encodeFragment,
  newFragment,
  validateCompressionCodec,
  validateFragment,
  ZERO_SHA1,
  type Fragment,
  type Sha1,
} from "./fragment.ts";
export {
  codecExtension,
  codecOfExtension,
  contentName,
  contentPath,
  fragmentOfPath,
} from "./fragment-name.ts";
export { parseFragmentStore, validateFragmentStore } from "./fragment-store.ts";
export {
  evaluatePathTemplate,
  parsePathTemplate,
  type PathTemplate,
  type PathTemplateScope,
} from "./path-template.ts";
export { msToNanos, nanosToMs, parseDuration, printDuration } from "./duration.ts";
export {
  decodeReadRequest,
  decodeReadResponse,
  encodeReadRequest,
  encodeReadResponse,
  newReadRequest,
  newReadResponse,
  readRequestFromJson,
  readRequestToJson,
  readResponseFromJson,
  readResponseToJson,
  validateReadRequest,
  validateReadResponse,
  type ReadRequest,
  type ReadResponse,
} from "./read-message.ts";
export {
  decodeAppendRequest,
  decodeAppendResponse,
  encodeAppendRequest,
  encodeAppendResponse,
  newAppendRequest,
  newAppendResponse,
  validateAppendRequest,
  validateAppendResponse,
  type AppendPreamble,
  type AppendRequest,
  type AppendResponse,
} from "./append-message.ts";
export {
  decodeReplicateRequest,
  decodeReplicateResponse,
  encodeReplicateRequest,
  encodeReplicateResponse,
  newReplicateRequest,
  newReplicateResponse,
  validateReplicateRequest,
  validateReplicateResponse,
  type ReplicateRequest,
  type ReplicateResponse,
} from "./replicate-message.ts";
export {
  HOLDER_SERVICE,
  validateFetchRequest,
  validateHoldRequest,
  validateHoldResponse,
  type FetchRequestMessage,
  type HoldOutcome,
  type HoldRequestMessage,
  type HoldResponseMessage,
  type HoldWants,
} from "./holder-message.ts";
export {
  decodeListRequest,
  decodeListResponse,
  encodeListRequest,
  encodeListResponse,
  listRequestFromJson,
  listRequestToJson,
  listResponseFromJson,
  listResponseToJson,
  listResponseToText,
  newListRequest,
  newListResponse,
  validateListRequest,
  validateListResponse,
  type ListedJournal,
  type ListRequest,
  type ListResponse,
} from "./list-message.ts";
export {
  applyRequestFromJson,
  applyRequestToJson,
  applyRequestToText,
  applyResponseFromJson,
  applyResponseToJson,
  decodeApplyRequest,
  decodeApplyResponse,
  deleteChange,
  encodeApplyRequest,
  encodeApplyResponse,
  newApplyResponse,
  upsertChange,
  validateApplyRequest,
  validateApplyResponse,
  type ApplyChange,
  type ApplyRequest,
  type ApplyResponse,
} from "./apply-message.ts";
export {
  decodeFragmentsRequest,
  decodeFragmentsResponse,
  encodeFragmentsRequest,
  encodeFragmentsResponse,
  fragmentsRequestFromJson,
  fragmentsRequestToJson,
  fragmentsResponseFromJson,
  fragmentsResponseToJson,
  fragmentsResponseToText,
  newFragmentsRequest,
  newFragmentsResponse,
  validateFragmentsRequest,
  validateFragmentsResponse,
  type FragmentsRequest,
  type FragmentsResponse,
  type ListedFragment,
} from "./fragments-message.ts";
export {
  decodeFragmentStoreHealthRequest,
  decodeFragmentStoreHealthResponse,
  encodeFragmentStoreHealthRequest,
  encodeFragmentStoreHealthResponse,
  fragmentStoreHealthRequestFromJson,
  fragmentStoreHealthRequestToJson,
  fragmentStoreHealthResponseFromJson,
  fragmentStoreHealthResponseToJson,
  newFragmentStoreHealthRequest,
  newFragmentStoreHealthResponse,
  validateFragmentStoreHealthRequest,
  validateFragmentStoreHealthResponse,
  type FragmentStoreHealthRequest,
  type FragmentStoreHealthResponse,
} from "./store-health-message.ts";
export { JOURNAL_SERVICE, type Rpc } from "./journal-service.ts";
export {
  assignmentKey,
  assignmentsPrefix,
  decodeAssignmentValue,
  decodeItemValue,
  decodeMemberValue,
  encodeAssignmentValue,
  itemKey,
  itemsPrefix,
  memberKey,
  membersPrefix,
  parseEntityKey,
  validateKeyspaceRoot,
  type AssignmentId,
  type EntityKey,
} from "./keyspace-key.ts";
export { intersectSpecs, subtractSpecs, unionSpecs } from "./spec-algebra.ts";
export {
  changesOf,
  hoist,
  isDirectory,
  journalsOf,
  newJournalNode,
  pushDown,
  treeOf,
  treeOfListing,
  validateJournalTree,
  type JournalNode,
} from "./journal-tree.ts";
export { journalTreeOfPlain, plainOfJournalTree } from "./journal-tree-plain.ts";
export { AppendAnswers, plainAppendRequest, readChunkHead, type PlainAppendRequest } from "./hot-wire.ts";
export { emptyReplication, replicationHead } from "./replicate-wire.ts";
