// A key management service as a port: it has keys that never leave it, and wraps others with them. What seals secrets
// is a data key, kept wrapped in the coordination store and unwrapped once by each process (data-key-ring.ts). An
// adapter of another vendor implements the same two requests; a service that makes no data keys wraps random bytes.

/** Services with an adapter. */
export const KEY_PROVIDERS = ["aws-kms"] as const;
export type KeyProvider = (typeof KEY_PROVIDERS)[number];

export const DATA_KEY_BYTES = 32;

/** Bound into what is wrapped: it unwraps with the same alone. No secret: services write it into their audit logs. */
export type KeyContext = Readonly<Record<string, string>>;

export interface MadeKey {
  /** `DATA_KEY_BYTES`. */
  readonly plain: Uint8Array;
  readonly wrapped: Uint8Array;
  /** The service's own full name of the key that wraps it, where it was asked for by an alias. */
  readonly by: string;
}

export interface KeyService {
  readonly provider: KeyProvider;
  /** A new data key, wrapped by `key`. */
  generate(key: string, context: KeyContext, signal: AbortSignal): Promise<MadeKey>;
  /** @param key that has to have wrapped it: no other is used, whatever the bytes say */
  unwrap(wrapped: Uint8Array, key: string, context: KeyContext, signal: AbortSignal): Promise<Uint8Array>;
  /** What it means that a request has thrown this. */
  failureOf(thrown: unknown): KeyFailure;
}

export interface KeyFailure {
  /**
   * `passing`: a repeat may succeed; `other-key`: another key has wrapped it; `changed`: not what was wrapped with this
   * context; `refused`: whatever else the service or its client says, rights and disabled keys among it.
   */
  readonly kind: "passing" | "other-key" | "changed" | "refused";
  /** As the service says it. */
  readonly reason: string;
  /** What to do about it; "" when the reason says all. */
  readonly remedy: string;
}

export function textOfFailure({ reason, remedy }: KeyFailure): string {
  return remedy === "" ? reason : `${reason}: ${remedy}`;
}
