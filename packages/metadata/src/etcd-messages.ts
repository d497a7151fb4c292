// The port's requests as messages of etcd's API, and its answers as the port's.
import { WireError } from "@millrace/base";
import { builder } from "@millrace/protobuf";
import type {
  Compare,
  CompareOp,
  RangeRequest,
  RangeResponse,
  StoreHeader,
  StoreOp,
  StoreOpResult,
  TxnRequest,
  TxnResponse,
} from "./coordination.ts";
import * as kv from "./etcd-api/kv.ts";

const newRange = builder(kv.rangeRequest);
const newPut = builder(kv.putRequest);
const newDelete = builder(kv.deleteRangeRequest);
const newCompare = builder(kv.compare);

const RESULTS: Readonly<Record<CompareOp, kv.CompareResult>> = {
  "=": "EQUAL",
  "!=": "NOT_EQUAL",
  "<": "LESS",
  ">": "GREATER",
};

export function rangeMessage(request: RangeRequest): kv.RangeRequest {
  return newRange({
    key: request.key,
    rangeEnd: request.end ?? "",
    limit: request.limit ?? 0,
    revision: request.revision ?? 0,
    countOnly: request.countOnly ?? false,
    keysOnly: request.keysOnly ?? false,
  });
}

export function txnMessage(request: TxnRequest): kv.TxnRequest {
  return {
    compare: request.compare.map(compareMessage),
    success: request.success.map(opMessage),
    failure: (request.failure ?? []).map(opMessage),
  };
}

/** Whether `request` can change anything, whichever branch is taken. */
export function mayWrite(request: TxnRequest): boolean {
  return [...request.success, ...(request.failure ?? [])].some(({ kind }) => kind !== "range");
}

/** Whether it may put something, for which there has to be space. */
export function mayPut(request: TxnRequest): boolean {
  return [...request.success, ...(request.failure ?? [])].some(({ kind }) => kind === "put");
}

/** @throws {WireError} INTERNAL when the answer has none */
export function headerOf(message: { readonly header?: kv.ResponseHeader }): StoreHeader {
  if (message.header === undefined) throw new WireError("INTERNAL", "etcd answered without a header");
  return message.header;
}

export function rangeResponseOf(response: kv.RangeResponse, header: StoreHeader): RangeResponse {
  return { header, kvs: response.kvs, count: response.count, more: response.more };
}

/** @throws {WireError} INTERNAL when the answer is not one to `request` */
export function txnResponseOf(request: TxnRequest, response: kv.TxnResponse): TxnResponse {
  const header = headerOf(response);
  const ops = (response.succeeded ? request.success : request.failure) ?? [];
  if (response.responses.length !== ops.length) {
    throw new WireError("INTERNAL", `etcd answered ${response.responses.length} of ${ops.length} operations`);
  }
  const results = ops.map((op, at) => resultOf(op, response.responses[at]!, header));
  return { header, succeeded: response.succeeded, results };
}

function compareMessage(compare: Compare): kv.Compare {
  const common = { key: compare.key, rangeEnd: compare.end ?? "", result: RESULTS[compare.op] };
  switch (compare.target) {
    case "version":
      return newCompare({ ...common, target: "VERSION", version: compare.version });
    case "create":
      return newCompare({ ...common, target: "CREATE", createRevision: compare.revision });
    case "mod":
      return newCompare({ ...common, target: "MOD", modRevision: compare.revision });
    case "lease":
      return newCompare({ ...common, target: "LEASE", lease: compare.lease });
    case "value":
      return newCompare({ ...common, target: "VALUE", value: compare.value });
  }
}

function opMessage(op: StoreOp): kv.RequestOp {
  switch (op.kind) {
    case "range":
      return { requestRange: rangeMessage(op) };
    case "delete":
      return { requestDeleteRange: newDelete({ key: op.key, rangeEnd: op.end ?? "" }) };
    case "put": {
      const { key, value, lease = 0n, ignoreLease = false } = op;
      return { requestPut: newPut({ key, value, lease, ignoreLease }) };
    }
  }
}

function resultOf(op: StoreOp, response: kv.ResponseOp, header: StoreHeader): StoreOpResult {
  const { responseRange: range, responsePut: put, responseDeleteRange: deleted } = response;
  if (op.kind === "put" && put !== undefined) return { kind: "put" };
  if (op.kind === "delete" && deleted !== undefined) return { kind: "delete", deleted: deleted.deleted };
  if (op.kind === "range" && range !== undefined) {
    // Inside a transaction etcd fills in the revision alone.
    const revision = range.header?.revision ?? header.revision;
    return { kind: "range", ...rangeResponseOf(range, { ...header, revision }) };
  }
  throw new WireError("INTERNAL", `etcd answered a ${op.kind} with something else`);
}
