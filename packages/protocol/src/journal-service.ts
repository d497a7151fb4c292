// The RPCs of the journal service: their gRPC paths, their shapes and the codecs of their messages.
import {
  decodeAppendRequest,
  decodeAppendResponse,
  encodeAppendRequest,
  encodeAppendResponse,
  type AppendRequest,
  type AppendResponse,
} from "./append-message.ts";
import {
  decodeApplyRequest,
  decodeApplyResponse,
  encodeApplyRequest,
  encodeApplyResponse,
  type ApplyRequest,
  type ApplyResponse,
} from "./apply-message.ts";
import {
  decodeFragmentsRequest,
  decodeFragmentsResponse,
  encodeFragmentsRequest,
  encodeFragmentsResponse,
  type FragmentsRequest,
  type FragmentsResponse,
} from "./fragments-message.ts";
import {
  decodeListRequest,
  decodeListResponse,
  encodeListRequest,
  encodeListResponse,
  type ListRequest,
  type ListResponse,
} from "./list-message.ts";
import {
  decodeReadRequest,
  decodeReadResponse,
  encodeReadRequest,
  encodeReadResponse,
  type ReadRequest,
  type ReadResponse,
} from "./read-message.ts";
import {
  encodeReplicateRequest,
  type ReplicateRequest,
  type ReplicateResponse,
} from "./replicate-message.ts";
import { decodeReplication, decodeReplicationResponse, encodeReplicationResponse } from "./replicate-wire.ts";
import {
  decodeFragmentStoreHealthRequest,
  decodeFragmentStoreHealthResponse,
  encodeFragmentStoreHealthRequest,
  encodeFragmentStoreHealthResponse,
  type FragmentStoreHealthRequest,
  type FragmentStoreHealthResponse,
} from "./store-health-message.ts";

export interface Rpc<Request, Response> {
  /** gRPC path: `/protocol.Journal/<Method>`. */
  readonly path: string;
  readonly requests: "one" | "stream";
  readonly responses: "one" | "stream";
  readonly encodeRequest: (request: Request) => Uint8Array;
  readonly decodeRequest: (bytes: Uint8Array) => Request;
  readonly encodeResponse: (response: Response) => Uint8Array;
  readonly decodeResponse: (bytes: Uint8Array) => Response;
}

const list: Rpc<ListRequest, ListResponse> = {
  path: "/protocol.Journal/List",
  requests: "one",
  responses: "stream",
  encodeRequest: encodeListRequest,
  decodeRequest: decodeListRequest,
  encodeResponse: encodeListResponse,
  decodeResponse: decodeListResponse,
};

const apply: Rpc<ApplyRequest, ApplyResponse> = {
  path: "/protocol.Journal/Apply",
  requests: "one",
  responses: "one",
  encodeRequest: encodeApplyRequest,
  decodeRequest: decodeApplyRequest,
  encodeResponse: encodeApplyResponse,
  decodeResponse: decodeApplyResponse,
};

const read: Rpc<ReadRequest, ReadResponse> = {
  path: "/protocol.Journal/Read",
  requests: "one",
  responses: "stream",
  encodeRequest: encodeReadRequest,
  decodeRequest: decodeReadRequest,
  encodeResponse: encodeReadResponse,
  decodeResponse: decodeReadResponse,
};

const append: Rpc<AppendRequest, AppendResponse> = {
  path: "/protocol.Journal/Append",
  requests: "stream",
  responses: "one",
  encodeRequest: encodeAppendRequest,
  decodeRequest: decodeAppendRequest,
  encodeResponse: encodeAppendResponse,
  decodeResponse: decodeAppendResponse,
};

const replicate: Rpc<ReplicateRequest, ReplicateResponse> = {
  path: "/protocol.Journal/Replicate",
  requests: "stream",
  responses: "stream",
  encodeRequest: encodeReplicateRequest,
  decodeRequest: decodeReplication,
  encodeResponse: encodeReplicationResponse,
  decodeResponse: decodeReplicationResponse,
};

const listFragments: Rpc<FragmentsRequest, FragmentsResponse> = {
  path: "/protocol.Journal/ListFragments",
  requests: "one",
  responses: "one",
  encodeRequest: encodeFragmentsRequest,
  decodeRequest: decodeFragmentsRequest,
  encodeResponse: encodeFragmentsResponse,
  decodeResponse: decodeFragmentsResponse,
};

const fragmentStoreHealth: Rpc<FragmentStoreHealthRequest, FragmentStoreHealthResponse> = {
  path: "/protocol.Journal/FragmentStoreHealth",
  requests: "one",
  responses: "one",
  encodeRequest: encodeFragmentStoreHealthRequest,
  decodeRequest: decodeFragmentStoreHealthRequest,
  encodeResponse: encodeFragmentStoreHealthResponse,
  decodeResponse: decodeFragmentStoreHealthResponse,
};

export const JOURNAL_SERVICE = {
  list,
  apply,
  read,
  append,
  replicate,
  listFragments,
  fragmentStoreHealth,
} as const;
