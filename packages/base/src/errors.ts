// The one coded error that crosses layers. Codes live in one table: HTTP status and whether a retry makes sense are
// looked up there, never guessed from a message. Messages give value and bound.
import { describeFacts, InvariantError, type Facts } from "./assert.ts";

/** `never`: the same request fails again; `after-resolve`: ask who serves it; `same-request`: back off and repeat. */
export type Retry = "never" | "after-resolve" | "same-request";

export const CODES = {
  INVALID_ARGUMENT: { status: 400, retry: "never" },
  UNAUTHENTICATED: { status: 401, retry: "never" },
  FORBIDDEN: { status: 403, retry: "never" },
  NOT_FOUND: { status: 404, retry: "never" },
  JOURNAL_NOT_FOUND: { status: 404, retry: "never" },
  METHOD_NOT_ALLOWED: { status: 405, retry: "never" },
  REQUEST_TIMEOUT: { status: 408, retry: "same-request" },
  CONFLICT: { status: 409, retry: "never" },
  ETCD_TRANSACTION_FAILED: { status: 409, retry: "never" },
  WRONG_APPEND_OFFSET: { status: 409, retry: "never" },
  INDEX_HAS_GREATER_OFFSET: { status: 409, retry: "never" },
  REGISTER_MISMATCH: { status: 409, retry: "never" },
  SUSPENDED: { status: 409, retry: "never" },
  NOT_ALLOWED: { status: 403, retry: "never" },
  TOO_LARGE: { status: 413, retry: "never" },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, retry: "never" },
  OFFSET_NOT_YET_AVAILABLE: { status: 416, retry: "same-request" },
  NOT_PRIMARY: { status: 421, retry: "after-resolve" },
  UNPROCESSABLE: { status: 422, retry: "never" },
  OVERLOADED: { status: 429, retry: "same-request" },
  COMPACTED: { status: 410, retry: "never" },
  INTERNAL: { status: 500, retry: "never" },
  CORRUPT: { status: 500, retry: "never" },
  OUTCOME_UNKNOWN: { status: 503, retry: "same-request" },
  UNAVAILABLE: { status: 503, retry: "same-request" },
  INSUFFICIENT_JOURNAL_BROKERS: { status: 503, retry: "after-resolve" },
  FRAGMENT_STORE_UNHEALTHY: { status: 503, retry: "same-request" },
  SHUTTING_DOWN: { status: 503, retry: "same-request" },
  DISK_FULL: { status: 507, retry: "same-request" },
} as const satisfies Record<string, { status: number; retry: Retry }>;

export type Code = keyof typeof CODES;

/** A coded failure: what a peer, a disk or a user did. `message` is fit for the one who caused it. */
export class WireError extends Error {
  readonly code: Code;
  readonly facts: Facts;
  constructor(code: Code, message: string, options: { facts?: Facts; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "WireError";
    this.code = code;
    this.facts = options.facts ?? {};
  }

  /** HTTP status of this code. */
  get status(): number {
    return CODES[this.code].status;
  }

  get retry(): Retry {
    return CODES[this.code].retry;
  }

  /**
   * The WireError that `thrown` is, or an INTERNAL one around it. An InvariantError passes through: it ends the
   * process.
   */
  static from(thrown: unknown): WireError {
    if (thrown instanceof WireError) return thrown;
    if (thrown instanceof InvariantError) throw thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new WireError("INTERNAL", message, { cause: thrown });
  }

  override toString(): string {
    return `${this.code}: ${this.message}${describeFacts(this.facts)}`;
  }
}
