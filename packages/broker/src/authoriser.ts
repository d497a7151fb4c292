// Who may do what, for every door of the broker: the platform's token and an administrator's of the project may do
// everything, one that is read-only what changes nothing, a signed token what its claims grant. One place, so that no
// door forgets it.
//
//  P1  Without a token and without keys everyone may do everything: whoever composes sees to who can reach the door.
//  P2  Keys alone guard journals, not figures: metrics name none, and scrapers cannot sign. The platform's token guards
//      those too.
import { WireError, type Clock, type TokenBook } from "@millrace/base";
import { requireCapability, type AuthKeys, type VerifiedClaims } from "@millrace/client";
import { CAPABILITY, type CapabilityName, type LabelSelector } from "@millrace/protocol";

/** What a request needs. */
export type Need = CapabilityName | "METRICS";

/** Who asks. The same object for the same token, so that what is made for it can be kept. */
export interface Principal {
  /** Journals that exist for it; undefined: all. */
  readonly visible: LabelSelector | undefined;
  /** When what it began ends, Unix milliseconds. */
  readonly expiresAtMs: number;
}

/** `reset`: an append of nothing that leaves suspension as it is. It gives up bytes at most (ADR 14). */
export type AppendKind = "content" | "reset";

/** Why nobody may append to a journal, fit for who tried; undefined for journals that do not exist for `principal`. */
export type RefuseAppend = (journal: string, principal: Principal, kind: AppendKind) => string | undefined;

export interface Credentials {
  readonly tokens: TokenBook;
  readonly keys: AuthKeys | undefined;
}

interface Grant {
  readonly claims: VerifiedClaims;
  readonly principal: Principal;
}

/** May do everything, and see everything. */
export const EVERYONE: Principal = { visible: undefined, expiresAtMs: Number.POSITIVE_INFINITY };
/** What changes nothing. */
const READING: readonly Need[] = ["LIST", "READ", "METRICS"];
/** Tokens whose verification is remembered: a client uses one for many calls. */
const GRANTS_MAX = 1024;
/** Longer ones are verified each time: remembering them would cost more than they are worth. */
const GRANT_CHARS_MAX = 4096;

export class Authoriser {
  readonly #credentials: Credentials;
  readonly #clock: Clock;
  readonly #grants = new Map<string, Grant>();

  constructor(credentials: Credentials, clock: Clock) {
    this.#credentials = credentials;
    this.#clock = clock;
  }

  /** @throws {WireError} UNAUTHENTICATED */
  authorise(authorization: string | undefined, need: Need): Principal {
    const { tokens, keys } = this.#credentials;
    const owner = tokens.isRequired || keys === undefined ? tokens.bearerOf(authorization) : undefined; // P1
    if (owner !== undefined) {
      if (owner.role === "admin" || READING.includes(need)) return EVERYONE;
      throw new WireError("FORBIDDEN", `the token is read-only, and this needs ${need}`);
    }
    if (need === "METRICS") {
      if (!tokens.isRequired) return EVERYONE; // P2
      return this.#grantOf(authorization).principal;
    }
    const { claims, principal } = this.#grantOf(authorization);
    requireCapability(claims, CAPABILITY[need]);
    return principal;
  }

  #grantOf(authorization: string | undefined): Grant {
    const nowMs = this.#clock.wallMs();
    const known = authorization === undefined ? undefined : this.#grants.get(authorization);
    if (known !== undefined && nowMs < known.claims.expiresAtMs) return known;
    const grant = grantOf(verify(this.#credentials.keys, authorization, nowMs));
    if (authorization !== undefined && authorization.length <= GRANT_CHARS_MAX) {
      this.#grants.set(authorization, grant);
      if (this.#grants.size > GRANTS_MAX) this.#grants.delete(this.#grants.keys().next().value!);
    }
    return grant;
  }
}

function verify(
  keys: AuthKeys | undefined,
  authorization: string | undefined,
  nowMs: number,
): VerifiedClaims {
  if (keys !== undefined) return keys.verify(authorization, nowMs);
  throw new WireError("UNAUTHENTICATED", "missing or empty Authorization token");
}

function grantOf(claims: VerifiedClaims): Grant {
  const { selector, expiresAtMs } = claims;
  const isAll = selector.include.labels.length === 0 && selector.exclude.labels.length === 0;
  return { claims, principal: { visible: isAll ? undefined : selector, expiresAtMs } };
}
