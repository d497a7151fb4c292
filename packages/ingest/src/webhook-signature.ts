// Signatures of webhooks: who posts proves with each request that it knows a secret, and of some schemes, when it did.
//
//   github  X-Hub-Signature-256: sha256=<hmac of the body>
//   stripe  Stripe-Signature: t=<seconds>,v1=<hmac of "seconds.body">, perhaps several v1, and schemes that are skipped
//   slack   X-Slack-Request-Timestamp: <seconds>, X-Slack-Signature: v0=<hmac of "v0:seconds:body">
//
// W1 All are HMAC-SHA256 in hex over the body's bytes as received, before anything is decompressed or decoded.
// W2 Sums are compared in a time that does not tell how much of one is right.
// W3 What was signed longer ago than the tolerance, or later than by it, is refused: it may have been recorded. GitHub
//    signs no time, so whatever it has signed once is good as long as the secret is.
import { createHmac, timingSafeEqual } from "node:crypto";

export type SignatureScheme = "github" | "stripe" | "slack";
export const SIGNATURE_SCHEMES: readonly SignatureScheme[] = ["github", "stripe", "slack"];

/** How requests to a source are signed. */
export interface WebhookSignature {
  readonly scheme: SignatureScheme;
  /** As the sender has it; never in a log. */
  readonly secret: string;
  /** W3 */
  readonly toleranceSeconds: number;
}

export const SIGNATURE_TOLERANCE_SECONDS = { initial: 300, min: 1, max: 3600 } as const;

/** A request as it was received. */
export interface SignedRequest {
  /** The first value of the header `name`. @param name in lower case */
  readonly header: (name: string) => string | undefined;
  readonly body: Uint8Array;
}

/** Of one header; more would be somebody's attempt to let us compute. */
const SUMS_MAX = 8;
const SECONDS = /^[0-9]{1,12}$/;
const SUM = /^[0-9a-f]{64}$/i;

interface Claim {
  /** What was signed before the body. */
  readonly prefix: string;
  /** Any of them is enough. */
  readonly sums: readonly string[];
  readonly seconds: number | undefined;
}

/** @returns what speaks against the request, as a sentence; undefined: it is signed */
export function signatureProblem(
  { scheme, secret, toleranceSeconds }: WebhookSignature,
  { header, body }: SignedRequest,
  nowMs: number,
): string | undefined {
  const claim = CLAIMS[scheme](header);
  if (typeof claim === "string") return claim;
  const { prefix, sums, seconds } = claim;
  const expected = createHmac("sha256", secret).update(prefix).update(body).digest();
  const isSigned = sums.some((sum) => SUM.test(sum) && timingSafeEqual(Buffer.from(sum, "hex"), expected)); // W2
  if (!isSigned) return "The signature is not that of the body.";
  if (seconds === undefined) return undefined;
  const awaySeconds = Math.abs(nowMs / 1000 - seconds);
  if (awaySeconds <= toleranceSeconds) return undefined;
  const away = Math.round(awaySeconds);
  return `The signature is ${away} s away from the time of its receipt (expected <= ${toleranceSeconds} s).`;
}

/** What a request claims, or why it claims nothing. */
const CLAIMS: Readonly<Record<SignatureScheme, (header: SignedRequest["header"]) => Claim | string>> = {
  github: (header) => {
    const value = header("x-hub-signature-256");
    if (value === undefined) return missing("X-Hub-Signature-256");
    if (!value.startsWith("sha256=")) return malformed("X-Hub-Signature-256", "sha256=<hex>");
    return { prefix: "", sums: [value.slice("sha256=".length)], seconds: undefined };
  },
  stripe: (header) => {
    const value = header("stripe-signature");
    if (value === undefined) return missing("Stripe-Signature");
    const items = value.split(",").map((item) => item.trim());
    const seconds = items.find((item) => item.startsWith("t="))?.slice(2) ?? "";
    const sums = items.filter((item) => item.startsWith("v1=")).map((item) => item.slice(3));
    if (!SECONDS.test(seconds) || sums.length === 0 || sums.length > SUMS_MAX)
      return malformed("Stripe-Signature", "t=<seconds>,v1=<hex>");
    return { prefix: `${seconds}.`, sums, seconds: Number(seconds) };
  },
  slack: (header) => {
    const value = header("x-slack-signature");
    const seconds = header("x-slack-request-timestamp");
    if (value === undefined) return missing("X-Slack-Signature");
    if (seconds === undefined) return missing("X-Slack-Request-Timestamp");
    if (!value.startsWith("v0=")) return malformed("X-Slack-Signature", "v0=<hex>");
    if (!SECONDS.test(seconds)) return malformed("X-Slack-Request-Timestamp", "seconds");
    return { prefix: `v0:${seconds}:`, sums: [value.slice("v0=".length)], seconds: Number(seconds) };
  },
};

function missing(name: string): string {
  return `The header "${name}" is missing.`;
}

function malformed(name: string, expected: string): string {
  return `The header "${name}" is not what it should be, expected ${expected}.`;
}
