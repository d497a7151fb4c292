// URLs that read one object of Google Cloud Storage for a time: V4 signatures over the XML API's paths. Pure.
import { createHash } from "node:crypto";

const ALGORITHM = "GOOG4-RSA-SHA256";
/** A signed URL lives for at most a week. */
const SIGNED_SECONDS_MAX = 7 * 24 * 60 * 60;

export interface GcsUrlRequest {
  /** `https://storage.googleapis.com` */
  readonly endpoint: string;
  readonly bucket: string;
  readonly key: string;
  /** Email of the account that signs. */
  readonly signer: string;
  readonly nowMs: number;
  readonly ttlMs: number;
}

/** A URL without its signature, and what is signed. */
export interface UnsignedUrl {
  readonly url: string;
  readonly stringToSign: string;
}

export function unsignedGet(request: GcsUrlRequest): UnsignedUrl {
  const { endpoint, bucket, key, signer, nowMs, ttlMs } = request;
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, "");
  const scope = `${time.slice(0, 8)}/auto/storage/goog4_request`;
  const seconds = Math.min(SIGNED_SECONDS_MAX, Math.max(1, Math.ceil(ttlMs / 1000)));
  const path = `/${bucket}/${key.split("/").map(encoded).join("/")}`;
  const query = [
    ["X-Goog-Algorithm", ALGORITHM],
    ["X-Goog-Credential", `${signer}/${scope}`],
    ["X-Goog-Date", time],
    ["X-Goog-Expires", String(seconds)],
    ["X-Goog-SignedHeaders", "host"],
  ]
    .map(([name, value]) => `${name}=${encoded(value!)}`)
    .join("&");
  const host = new URL(endpoint).host;
  const canonical = ["GET", path, query, `host:${host}`, "", "host", "UNSIGNED-PAYLOAD"].join("\n");
  const hash = createHash("sha256").update(canonical).digest("hex");
  return { url: `${endpoint}${path}?${query}`, stringToSign: [ALGORITHM, time, scope, hash].join("\n") };
}

/** @param signature base64 */
export function signedUrl({ url }: UnsignedUrl, signature: string): string {
  return `${url}&X-Goog-Signature=${Buffer.from(signature, "base64").toString("hex")}`;
}

/** RFC 3986: everything but letters, digits and `-._~`. */
function encoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
