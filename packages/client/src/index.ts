export type { AppendContent, JournalTransport } from "./transport.ts";
export { append, appendOnce, appendPreamble, type AppendOptions, type Commit } from "./append.ts";
export { AppendService, type AsyncAppend } from "./append-service.ts";
export {
  readHead,
  readJournal,
  readRequest,
  type ReaderOptions,
  type ReaderPorts,
  type ReadEvent,
} from "./journal-reader.ts";
export { FragmentReader, type Decompressor } from "./fragment-reader.ts";
export {
  applyJournals,
  CHANGES_PER_TRANSACTION,
  getJournal,
  listAllFragments,
  listFragments,
  listJournals,
  watchJournals,
} from "./listing.ts";
export { checkAppend, mayMove, statusError } from "./statuses.ts";
export { HttpTransport, type HttpTransportOptions } from "./http-transport.ts";
export { AuthKeys, requireCapability, type VerifiedClaims } from "./auth-keys.ts";
export { FRAMES_METADATA, GrpcTransport, type GrpcTransportOptions } from "./grpc-transport.ts";
export { AppendMessages } from "./append-messages.ts";
export { CODE_TRAILER, codeOfRpc } from "./grpc-failures.ts";
