// What a Content-Type says about a body: how records are found in it, and in which charset it is.
import { utf8 } from "@millrace/base";

export type ContentKind =
  /** One JSON value is a record, an array of them is a batch. */
  | "json"
  /** A record on each line. */
  | "ndjson"
  | "form"
  | "multipart"
  /** Stored as it is; columns that look into it cannot be filled. */
  | "opaque";

/** What a single record's body may be. */
export const BODY_KINDS = ["json", "form", "multipart", "opaque"] as const satisfies readonly ContentKind[];
export type BodyKind = (typeof BODY_KINDS)[number];

export interface Content {
  readonly kind: ContentKind;
  /** A label that TextDecoder knows; undefined: UTF-8. */
  readonly charset: string | undefined;
}

/** @returns undefined for a charset that nobody knows */
export function parseContentType(header: string): Content | undefined {
  const [type = "", ...parameters] = header.split(";");
  const kind = kindOf(type.trim().toLowerCase());
  for (const parameter of parameters) {
    const match = /^\s*charset\s*=\s*"?([^"\s]+)"?\s*$/i.exec(parameter);
    if (match === null) continue;
    const charset = canonicalCharset(match[1]!);
    if (charset === undefined) return undefined;
    return { kind, charset: charset === "utf-8" ? undefined : charset };
  }
  return { kind, charset: undefined };
}

function kindOf(type: string): ContentKind {
  if (/^application\/([a-z0-9.-]+\+)?json$/.test(type)) return "json";
  if (/^application\/(x-)?(ndjson|jsonl|jsonlines|json-lines)$/.test(type)) return "ndjson";
  if (type === "multipart/form-data") return "multipart";
  return type === "application/x-www-form-urlencoded" ? "form" : "opaque";
}

function canonicalCharset(label: string): string | undefined {
  if (/^us-ascii$/i.test(label)) return "utf-8";
  try {
    return new TextDecoder(label).encoding;
  } catch {
    return undefined;
  }
}

/** `bytes` as UTF-8; undefined when they are not of the charset. @param charset a label of {@link Content} */
export function decodeCharset(charset: string, bytes: Uint8Array): Uint8Array | undefined {
  try {
    return utf8(new TextDecoder(charset, { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
