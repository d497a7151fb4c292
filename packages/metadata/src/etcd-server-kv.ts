// etcd's KV service over the embedded store: messages to wide requests, results to messages.
//
// Values in decoded requests are views of the transport's buffer: transactions copy what they keep (decideTxn).
import { unreachable } from "@millrace/base";
import type { Compare, KeyValue, RangeResponse as StoreRange, StoreHeader } from "./coordination.ts";
import type { EmbeddedStore } from "./embedded-store.ts";
import type {
  Compare as WireCompare,
  CompactionRequest,
  CompactionResponse,
  DeleteRangeRequest,
  DeleteRangeResponse,
  KeyValue as WireKeyValue,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseHeader,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from "./etcd-api/kv.ts";
import { etcdRefusal } from "./etcd-refusals.ts";
import { RESPONSE_BYTES_MAX } from "./limits.ts";
import type {
  RangeShape,
  SortTarget,
  WideDelete,
  WideOp,
  WidePut,
  WideRange,
  WideResult,
  WideTxn,
} from "./wide-requests.ts";

const SORT_TARGETS: Record<RangeRequest["sortTarget"], SortTarget> = {
  KEY: "key",
  VERSION: "version",
  CREATE: "create",
  MOD: "mod",
  VALUE: "value",
};
const OPERATORS = { EQUAL: "=", GREATER: ">", LESS: "<", NOT_EQUAL: "!=" } as const;

export class KvService {
  readonly #store: EmbeddedStore;

  constructor(store: EmbeddedStore) {
    this.#store = store;
  }

  /** Linearizable and serializable are the same here: there is one member. */
  async range(request: RangeRequest, signal: AbortSignal): Promise<RangeResponse> {
    const { header, ...found } = await this.#store.wideRange(rangeOf(request), signal);
    return rangeResponse(headerOf(header), found);
  }

  async put(request: PutRequest, signal: AbortSignal): Promise<PutResponse> {
    const { header, results } = await this.#write(putOf(request), signal);
    return putResponse(headerOf(header), results[0]!);
  }

  async deleteRange(request: DeleteRangeRequest, signal: AbortSignal): Promise<DeleteRangeResponse> {
    const { header, results } = await this.#write(deleteOf(request), signal);
    return deleteResponse(headerOf(header), results[0]!);
  }

  async txn(request: TxnRequest, signal: AbortSignal): Promise<TxnResponse> {
    const { header, succeeded, results } = await this.#store.wideTxn(txnOf(request), signal);
    checkBytes(results);
    return { header: headerOf(header), succeeded, responses: results.map((one) => responseOp(one, header)) };
  }

  async compact({ revision }: CompactionRequest, signal: AbortSignal): Promise<CompactionResponse> {
    await this.#store.compact(Math.max(0, revision), signal);
    return { header: headerOf(this.#store.header) };
  }

  #write(op: WideOp, signal: AbortSignal): ReturnType<EmbeddedStore["wideTxn"]> {
    return this.#store.wideTxn({ compare: [], success: [op] }, signal);
  }
}

export function headerOf(header: StoreHeader): ResponseHeader {
  const { clusterId, memberId, revision, raftTerm } = header;
  return { clusterId, memberId, revision, raftTerm };
}

/** Lease ids are unsigned in the store and signed on the wire. */
export function leaseOfWire(id: bigint): bigint {
  return BigInt.asUintN(64, id);
}

export function leaseToWire(lease: bigint): bigint {
  return BigInt.asIntN(64, lease);
}

export function wireKeyValue(kv: KeyValue): WireKeyValue {
  return { ...kv, lease: leaseToWire(kv.lease) };
}

/** A range of keys as a request names it: an absent end is the empty string on the wire. */
export function keysOf({ key, rangeEnd }: { readonly key: string; readonly rangeEnd: string }): {
  readonly key: string;
  readonly end?: string;
} {
  return rangeEnd === "" ? { key } : { key, end: rangeEnd };
}

function rangeOf(request: RangeRequest): WideRange {
  return {
    ...keysOf(request),
    // Below zero is the newest, too.
    revision: Math.max(0, request.revision),
    limit: Math.max(0, request.limit),
    countOnly: request.countOnly,
    keysOnly: request.keysOnly,
    ...shapeOf(request),
  };
}

function shapeOf(request: RangeRequest): RangeShape {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  const { sortOrder, sortTarget } = request;
  const isSorted = sortTarget === "KEY" ? sortOrder === "DESCEND" : true;
  return {
    ...(minModRevision !== 0 && { minModRevision }),
    ...(maxModRevision !== 0 && { maxModRevision }),
    ...(minCreateRevision !== 0 && { minCreateRevision }),
    ...(maxCreateRevision !== 0 && { maxCreateRevision }),
    ...(isSorted && { sort: { target: SORT_TARGETS[sortTarget], descending: sortOrder === "DESCEND" } }),
  };
}

function putOf(request: PutRequest): WidePut {
  return {
    kind: "put",
    key: request.key,
    value: request.value,
    lease: leaseOfWire(request.lease),
    ignoreValue: request.ignoreValue,
    ignoreLease: request.ignoreLease,
    wantPrevious: request.prevKv,
  };
}

function deleteOf(request: DeleteRangeRequest): WideDelete {
  return { kind: "delete", ...keysOf(request), wantPrevious: request.prevKv };
}

function txnOf(request: TxnRequest): WideTxn {
  return {
    compare: request.compare.map(compareOf),
    success: request.success.map(opOf),
    failure: request.failure.map(opOf),
  };
}

function opOf(op: RequestOp): WideOp {
  if (op.requestRange !== undefined) return { kind: "range", ...rangeOf(op.requestRange) };
  if (op.requestPut !== undefined) return putOf(op.requestPut);
  if (op.requestDeleteRange !== undefined) return deleteOf(op.requestDeleteRange);
  if (op.requestTxn !== undefined) return { kind: "txn", request: txnOf(op.requestTxn) };
  throw etcdRefusal("keyNotFound"); // etcd's answer to an operation that is none
}

function compareOf(compare: WireCompare): Compare {
  const common = { ...keysOf(compare), op: OPERATORS[compare.result] };
  switch (compare.target) {
    case "VERSION":
      return { ...common, target: "version", version: compare.version };
    case "CREATE":
      return { ...common, target: "create", revision: compare.createRevision };
    case "MOD":
      return { ...common, target: "mod", revision: compare.modRevision };
    case "VALUE":
      return { ...common, target: "value", value: compare.value };
    case "LEASE":
      return { ...common, target: "lease", lease: leaseOfWire(compare.lease) };
    default:
      return unreachable(compare.target);
  }
}

function rangeResponse(header: ResponseHeader, found: Omit<StoreRange, "header">): RangeResponse {
  checkBytes([{ kind: "range", header: ZERO_HEADER, ...found }]);
  return { header, kvs: found.kvs.map(wireKeyValue), more: found.more, count: found.count };
}

function putResponse(header: ResponseHeader, result: WideResult): PutResponse {
  if (result.kind !== "put" || result.previous === undefined) return { header };
  return { header, prevKv: wireKeyValue(result.previous) };
}

function deleteResponse(header: ResponseHeader, result: WideResult): DeleteRangeResponse {
  if (result.kind !== "delete") return { header, deleted: 0, prevKvs: [] };
  const prevKvs = (result.previous ?? []).map(wireKeyValue);
  return { header, deleted: result.deleted, prevKvs };
}

/** Inside a transaction only the revision is told, as etcd does. */
function responseOp(result: WideResult, { revision }: StoreHeader): ResponseOp {
  const header = { clusterId: 0n, memberId: 0n, raftTerm: 0n, revision };
  switch (result.kind) {
    case "range": {
      const { kvs, more, count } = result;
      const own = { ...header, revision: result.header.revision };
      return { responseRange: { header: own, kvs: kvs.map(wireKeyValue), more, count } };
    }
    case "put":
      return { responsePut: putResponse(header, result) };
    case "delete":
      return { responseDeleteRange: deleteResponse(header, result) };
    case "txn": {
      const { succeeded, results } = result;
      const responses = results.map((one) => responseOp(one, header));
      return { responseTxn: { header, succeeded, responses } };
    }
    default:
      return unreachable(result);
  }
}

/** What a key takes in an answer beside its bytes. */
const KEY_OVERHEAD_BYTES = 40;
const ZERO_HEADER: StoreHeader = { clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0n };

/** H12: an answer is bounded, whatever the store holds. @throws {WireError} OVERLOADED, saying how to ask instead */
function checkBytes(results: readonly WideResult[]): void {
  const bytes = resultBytes(results);
  if (bytes > RESPONSE_BYTES_MAX)
    throw etcdRefusal("answerTooLarge", `${bytes} > ${RESPONSE_BYTES_MAX} bytes`);
}

function resultBytes(results: readonly WideResult[]): number {
  let bytes = 0;
  for (const result of results) {
    if (result.kind === "range") bytes += bytesOf(result.kvs);
    else if (result.kind === "delete") bytes += bytesOf(result.previous ?? []);
    else if (result.kind === "txn") bytes += resultBytes(result.results);
    else if (result.previous !== undefined) bytes += bytesOf([result.previous]);
  }
  return bytes;
}

function bytesOf(kvs: readonly KeyValue[]): number {
  let bytes = 0;
  for (const { key, value } of kvs) bytes += KEY_OVERHEAD_BYTES + key.length + value.length;
  return bytes;
}
