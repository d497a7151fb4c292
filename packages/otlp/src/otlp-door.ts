// What both doors of OTLP share: whose records these are, how a compressed body is opened, who writes the records.
import type { RequestWalk } from "./export-request.ts";
import type { ExportOutcome } from "./partial-success.ts";
import type { FlatRecords, Signal } from "./flat-records.ts";
import type { FlattenLimits } from "./limits.ts";

/** Why a request is refused, in the names that the HTTP source has for it (without `stream.in.`). */
export interface OtlpRefusal {
  readonly status: number;
  readonly name: string;
  readonly message: string;
  /** Seconds after which the same request may be taken. */
  readonly retryAfter?: number;
}

/** Where records go: `source` is the door's own word for it. */
export type SourceFound<S> =
  | { readonly kind: "source"; readonly source: S }
  | { readonly kind: "refused"; readonly refusal: OtlpRefusal };

export type Gunzipped =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "refused"; readonly refusal: OtlpRefusal };

export type Walked =
  /** `release` is called when they are written, or not needed. */
  | { readonly kind: "records"; readonly records: FlatRecords; readonly release: () => void }
  | { readonly kind: "refused"; readonly refusal: OtlpRefusal };

export interface OtlpPorts<S> {
  /** Why nothing of the source is taken now; asked before its body is looked at. */
  refusal(source: S): OtlpRefusal | undefined;
  /** Opens a gzip body within the door's bounds of size and ratio. */
  gunzip(source: S, body: Uint8Array): Gunzipped | Promise<Gunzipped>;
  /** Goes through a request of so many bytes, with turns for others, within bounds. @throws what the walk throws */
  walk(source: S, walk: RequestWalk, bytes: number): Promise<Walked>;
  /**
   * Counts the records' memory itself before it returns. Resolves when it is known of each record what became of it;
   * never rejects for what happens to records.
   */
  write(source: S, records: FlatRecords): Promise<ExportOutcome>;
  readonly limits: FlattenLimits;
}

/** A request's signal, encoding and body. */
export interface ExportBody {
  readonly signal: Signal;
  readonly encoding: "protobuf" | "json";
  readonly isGzip: boolean;
  readonly bytes: Uint8Array;
}

export type Exported =
  | { readonly kind: "outcome"; readonly outcome: ExportOutcome }
  | { readonly kind: "refused"; readonly refusal: OtlpRefusal };
