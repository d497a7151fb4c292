// What one vendor's service can do, in the fewest operations: the port between RemoteStore, which has the promises of
// an ObjectStore, and the drivers, which have the vendors' SDKs. A driver makes one attempt at one request and throws
// whatever its SDK throws; keys are whole (the store's prefix is in them).
import type { Readable } from "node:stream";
import type { Code } from "@millrace/base";
import type { PutOptions } from "./object-store.ts";

export interface ListedObject {
  readonly key: string;
  readonly bytes: number;
  readonly modTimeMs: number;
}

export interface ListPage {
  readonly objects: readonly ListedObject[];
  /** Where the next page begins; undefined: this is the last. */
  readonly next: string | undefined;
}

/** [begin, end); no end: to the object's. */
export interface KeyRange {
  readonly begin: number;
  readonly end: number | undefined;
}

export interface OpenedObject {
  readonly body: Readable;
  /** Header `content-length`. */
  readonly bytes: number | undefined;
  /** Header `content-range`. */
  readonly range: string | undefined;
}

export interface UploadPart {
  /** From 0 on. */
  readonly index: number;
  readonly begin: number;
  readonly bytes: Uint8Array;
  readonly isLast: boolean;
}

/** An upload in parts, one after the other. Nothing is seen of it before `finish`. */
export interface DriverUpload {
  /** May be called again with the same part after it failed. */
  part(part: UploadPart, signal: AbortSignal): Promise<void>;
  finish(signal: AbortSignal): Promise<void>;
  /** Gives back what its parts take. */
  abandon(signal: AbortSignal): Promise<void>;
}

/** What a failure means. */
export interface StoreFailure {
  readonly code: Code;
  /** Whether the same request may succeed in a moment. */
  readonly isPassing: boolean;
  readonly reason: string;
}

export interface RemoteDriver {
  list(prefix: string, from: string | undefined, signal: AbortSignal): Promise<ListPage>;
  /** Stored bytes as they are, whatever their content encoding. "beyond": the range begins at or behind the end. */
  get(key: string, range: KeyRange, signal: AbortSignal): Promise<OpenedObject | "beyond">;
  head(key: string, signal: AbortSignal): Promise<{ bytes: number; modTimeMs: number } | undefined>;
  put(key: string, bytes: Uint8Array, options: PutOptions, signal: AbortSignal): Promise<void>;
  upload(key: string, options: PutOptions, signal: AbortSignal): Promise<DriverUpload>;
  /** A missing object is fine. */
  remove(key: string, signal: AbortSignal): Promise<void>;
  signGet(key: string, ttlMs: number, signal: AbortSignal): Promise<string>;
  failureOf(thrown: unknown): StoreFailure;
}
