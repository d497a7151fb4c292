// Read: one request, a stream of responses (metadata, content chunks, metadata, ...).
import type { Status } from "./enums.ts";
import type { Fragment } from "./fragment.ts";
import type { Header } from "./route.ts";

export interface ReadRequest {
  /** Set by a proxying broker, or by a client that wants at least that revision. */
  readonly header?: Header;
  /** May carry a `;meta` suffix. */
  readonly journal: string;
  /** First wanted offset; -1 = the write head. */
  readonly offset: number;
  /** Wait for offsets not written yet. */
  readonly block: boolean;
  readonly doNotProxy: boolean;
  /** Only the first metadata response is wanted. */
  readonly metadataOnly: boolean;
  /** End of the wanted range; 0 = none. */
  readonly endOffset: number;
  /** Unix seconds: skip persisted fragments older than this. */
  readonly beginModTime: number;
  readonly minEtcdRevision: number;
}

export interface ReadResponse {
  readonly status: Status;
  readonly header?: Header;
  /** Of the first content byte that follows. */
  readonly offset: number;
  readonly writeHead: number;
  readonly fragment?: Fragment;
  /** Signed URL of the fragment, "" when there is none. */
  readonly fragmentUrl: string;
  /** Absent in metadata. Never empty on the wire: an empty chunk cannot be expressed. */
  readonly content?: Uint8Array;
}
