// Requests to the embedded store as etcd's API has them: the port's (coordination.ts), and what only etcd's clients ask
// for. Brokers see the port alone.
import type { Compare, KeyValue, RangeRequest, RangeResponse, StoreHeader, StoreOp } from "./coordination.ts";

export type SortTarget = "key" | "version" | "create" | "mod" | "value";

/** Which keys of a range are wanted, in which order. Bounds are inclusive; `limit` counts what is left. */
export interface RangeShape {
  readonly minModRevision?: number;
  readonly maxModRevision?: number;
  readonly minCreateRevision?: number;
  readonly maxCreateRevision?: number;
  readonly sort?: { readonly target: SortTarget; readonly descending: boolean };
}

export type WideRange = RangeRequest & RangeShape;

export type WidePut = StoreOp & { readonly kind: "put" } & {
  /** Keeps the value that the key has, which must exist; `value` is to be empty. */
  readonly ignoreValue?: boolean;
  /** Answer with the key as it was. */
  readonly wantPrevious?: boolean;
};

export type WideDelete = StoreOp & { readonly kind: "delete" } & { readonly wantPrevious?: boolean };

/** A nested transaction compares with the state before the whole transaction, as etcd's does. */
export type WideOp =
  | WidePut
  | WideDelete
  | ({ readonly kind: "range" } & WideRange)
  | { readonly kind: "txn"; readonly request: WideTxn };

export interface WideTxn {
  readonly compare: readonly Compare[];
  readonly success: readonly WideOp[];
  readonly failure?: readonly WideOp[];
}

export interface WideTxnResponse {
  readonly header: StoreHeader;
  readonly succeeded: boolean;
  readonly results: readonly WideResult[];
}

export type WideResult =
  | { readonly kind: "put"; readonly previous?: KeyValue }
  | { readonly kind: "delete"; readonly deleted: number; readonly previous?: readonly KeyValue[] }
  | ({ readonly kind: "range" } & RangeResponse)
  | { readonly kind: "txn"; readonly succeeded: boolean; readonly results: readonly WideResult[] };
