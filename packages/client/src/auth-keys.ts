// Authorisation by shared keys: tokens are JWTs with an HMAC (section 1.12). Clients and brokers sign with the first
// key; every key verifies. Keys and tokens stay out of messages.
//
//  K1  A signature is compared in constant time, and before anything but the token's form is believed.
//  K2  Only HS256 and HS384 count: the header says which of the two to check, never that none is due.
import { createHmac, timingSafeEqual } from "node:crypto";
import { parseAuthKeys, WireError } from "@millrace/base";
import {
  ANY_LABELS,
  claimsFromJson,
  claimsToJson,
  missingCapability,
  type Claims,
  type ClaimTimes,
} from "@millrace/protocol";

/** Claims that were verified. */
export interface VerifiedClaims extends Claims {
  /** Unix milliseconds; what was begun with the token ends then. */
  readonly expiresAtMs: number;
}

const LEEWAY_MS = 5_000;
const MISSING_LIFE_MS = 3_600_000;
/** A header list may hold far more; no token of ours comes near. */
const TOKEN_CHARS_MAX = 64 * 1024;
const DIGESTS: ReadonlyMap<string, string> = new Map([
  ["HS256", "sha256"],
  ["HS384", "sha384"],
]);
/** Methods that exist, though not here. Others are not known at all, which is told apart. */
const FOREIGN = /^(?:none|HS512|(?:RS|ES|PS)(?:256|384|512)|EdDSA)$/;
const SIGNED_HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString("base64url");

export class AuthKeys {
  /** Requests without a token may do everything. */
  readonly allowsMissing: boolean;
  readonly #keys: readonly Uint8Array[];

  private constructor(keys: readonly Uint8Array[], allowsMissing: boolean) {
    this.#keys = keys;
    this.allowsMissing = allowsMissing;
  }

  /**
   * @param text as {@link parseAuthKeys} reads it
   * @throws {WireError} INVALID_ARGUMENT
   */
  static parse(text: string): AuthKeys {
    const { keys, allowsMissing } = parseAuthKeys(text);
    return new AuthKeys(
      keys.map((key) => Buffer.from(key, "base64")),
      allowsMissing,
    );
  }

  /** @returns the value of an Authorization header @param lifeMs from now, > 0 */
  sign(claims: Claims, lifeMs: number, nowMs: number): string {
    const issuedAt = Math.floor(nowMs / 1000);
    const expiresAt = Math.floor((nowMs + lifeMs) / 1000);
    const body = Buffer.from(JSON.stringify(claimsToJson(claims, issuedAt, expiresAt))).toString("base64url");
    const text = `${SIGNED_HEADER}.${body}`;
    const signature = createHmac("sha256", this.#keys[0]!).update(text).digest("base64url");
    return `Bearer ${text}.${signature}`;
  }

  /**
   * What `authorization` grants now, whether or not it is enough for anything: see {@link requireCapability}.
   * @throws {WireError} UNAUTHENTICATED
   */
  verify(authorization: string | undefined, nowMs: number): VerifiedClaims {
    if (authorization === undefined) {
      if (!this.allowsMissing) throw refusal("missing or empty Authorization token");
      return { capabilities: ~0 >>> 0, selector: ANY_LABELS, expiresAtMs: nowMs + MISSING_LIFE_MS };
    }
    if (!authorization.startsWith("Bearer ")) {
      throw refusal("invalid or unsupported Authorization header (expected 'Bearer')");
    }
    const claims = this.#open(authorization.slice("Bearer ".length));
    const problems = timeProblems(claims, nowMs);
    if (problems.length > 0) throw unverified(`token has invalid claims: ${problems.join(", ")}`);
    const { capabilities, selector, expiresAt } = claims;
    return { capabilities, selector, expiresAtMs: expiresAt! * 1000 };
  }

  #open(token: string): Claims & ClaimTimes {
    const parts = token.length > TOKEN_CHARS_MAX ? [] : token.split(".", 4);
    if (parts.length !== 3) throw malformed("token contains an invalid number of segments");
    const [header, body, signature] = parts as [string, string, string];
    const alg = algorithmOf(parseJson(decode(header, "header"), "header"));
    const claims = parseClaims(decode(body, "claim"));
    if (typeof alg !== "string") {
      throw unverified("token is unverifiable: signing method (alg) is unspecified");
    }
    const digest = DIGESTS.get(alg);
    if (digest === undefined) {
      throw FOREIGN.test(alg)
        ? unverified(`token signature is invalid: signing method ${alg} is invalid`)
        : unverified("token is unverifiable: signing method (alg) is unavailable");
    }
    const given = decode(signature, "signature");
    const signed = `${header}.${body}`;
    let matches = false;
    for (const key of this.#keys) {
      const expected = createHmac(digest, key).update(signed).digest();
      matches = (expected.length === given.length && timingSafeEqual(expected, given)) || matches; // K1
    }
    if (!matches) throw unverified("token signature is invalid: signature is invalid");
    return claims;
  }
}

/** @throws {WireError} UNAUTHENTICATED unless `claims` have every bit of `need` */
export function requireCapability(claims: Claims, need: number): void {
  const missing = missingCapability(claims.capabilities, need);
  if (missing !== undefined) throw refusal(missing);
}

function timeProblems({ expiresAt, notBefore, issuedAt }: ClaimTimes, nowMs: number): string[] {
  const problems: string[] = [];
  if (expiresAt === undefined) problems.push("token is missing required claim: exp claim is required");
  else if (nowMs >= expiresAt * 1000 + LEEWAY_MS) problems.push("token is expired");
  if (notBefore !== undefined && nowMs < notBefore * 1000 - LEEWAY_MS) {
    problems.push("token is not valid yet");
  }
  if (issuedAt !== undefined && nowMs < issuedAt * 1000 - LEEWAY_MS)
    problems.push("token used before issued");
  return problems;
}

function algorithmOf(header: unknown): unknown {
  if (typeof header !== "object" || header === null || Array.isArray(header)) {
    throw malformed("could not JSON decode header: expected a JSON object");
  }
  return (header as { readonly alg?: unknown }).alg;
}

function parseClaims(bytes: Buffer): Claims & ClaimTimes {
  const json = parseJson(bytes, "claim");
  try {
    return claimsFromJson(json);
  } catch (error) {
    throw malformed(`could not JSON decode claim: ${WireError.from(error).message}`);
  }
}

function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    throw malformed(`could not JSON decode ${what}: not JSON`);
  }
}

/** Base64 of the URL alphabet, without padding. */
function decode(segment: string, what: string): Buffer {
  const bad = /[^A-Za-z0-9_-]/.exec(segment)?.index ?? (segment.length % 4 === 1 ? segment.length - 1 : -1);
  if (bad >= 0) throw malformed(`could not base64 decode ${what}: illegal base64 data at input byte ${bad}`);
  return Buffer.from(segment, "base64url");
}

function malformed(why: string): WireError {
  return unverified(`token is malformed: ${why}`);
}

function unverified(why: string): WireError {
  return refusal(`verifying Authorization: ${why}`);
}

function refusal(why: string): WireError {
  return new WireError("UNAUTHENTICATED", why);
}
