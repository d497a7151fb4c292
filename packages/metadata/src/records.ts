// What the embedded store writes to its log: decisions, not requests. Only replaying a record changes the state, so
// that a running store and a recovering one run the same code.
import type { AuthState } from "./auth-state.ts";
import type { Key } from "./coordination.ts";

/** `process`: granted by the process that the store lives in, so it ends with that process (D16). */
export type LeaseOwner = "process" | "remote";

export type Write =
  | { readonly kind: "put"; readonly key: Key; readonly value: Uint8Array; readonly lease: bigint }
  | { readonly kind: "delete"; readonly key: Key; readonly end?: Key };

export type StoreRecord =
  /** The first record of a store, once. */
  | { readonly kind: "created"; readonly clusterId: bigint; readonly memberId: bigint }
  /** The first record of each life of a store. */
  | { readonly kind: "started"; readonly raftTerm: bigint }
  /** Changes at least one key; `revision` is the one it makes. */
  | { readonly kind: "txn"; readonly revision: number; readonly writes: readonly Write[] }
  | {
      readonly kind: "lease-granted";
      readonly lease: bigint;
      readonly ttlSeconds: number;
      readonly owner: LeaseOwner;
    }
  /** `revision` is the one that its keys are deleted at; the store's present one if it has none. */
  | { readonly kind: "lease-revoked"; readonly lease: bigint; readonly revision: number }
  | { readonly kind: "compacted"; readonly revision: number }
  /** All of it: there are few users, and they seldom change. */
  | { readonly kind: "auth-changed"; readonly auth: AuthState };
