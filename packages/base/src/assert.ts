// Our own mistakes. An InvariantError is never caught except at the edge of the process, which logs its facts and
// exits non-zero. What a peer, a disk or a user may do wrong is a WireError (errors.ts) or a tagged outcome.

/** What an error knows about itself: small values that are safe to log. */
export type Facts = Readonly<Record<string, string | number | bigint | boolean | null | undefined>>;

/** A broken invariant: a bug in Millrace. */
export class InvariantError extends Error {
  readonly facts: Facts;
  constructor(claim: string, facts: Facts = {}) {
    super(`invariant broken: ${claim}${describeFacts(facts)}`);
    this.name = "InvariantError";
    this.facts = facts;
  }
}

/** Throws {@link InvariantError} unless `ok`. One claim each, O(1) on the data path; stays on in production. */
export function assert(ok: boolean, claim: string, facts?: Facts): asserts ok {
  if (!ok) throw new InvariantError(claim, facts);
}

/** Proves at compile time that a union was handled whole, and throws when it was not. */
export function unreachable(value: never): never {
  throw new InvariantError("unreachable case", { value: String(value) });
}

export function describeFacts(facts: Facts): string {
  const parts = Object.entries(facts).map(([name, value]) => `${name}=${String(value)}`);
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
}
