// What makes a list of header fields malformed (RFC 9113 sections 8.2 and 8.3), and what a request's list says.
import type { HeaderList } from "./hpack-decoder.ts";

export interface RequestHead {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly contentType: string;
  /** -1: none. */
  readonly contentLength: number;
  /** All of it. */
  readonly list: HeaderList;
  /** What the layer above made of it, for the next equal request. */
  derived: unknown;
  /** The request before it on its connection, if all of it was the same but one value: what was made of that one. */
  readonly like: { readonly derived: unknown; readonly but: string } | undefined;
}

/** Names that belong to a connection of HTTP/1. */
const CONNECTION_NAMES: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** Tokens without capitals. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const BAD_VALUE = /[\0\r\n]|^[ \t]|[ \t]$/;

/** What is wrong with a field that is no pseudo-header, or undefined. */
export function faultOfField(name: string, value: string): string | undefined {
  if (!NAME.test(name)) return `invalid field name ${JSON.stringify(name.slice(0, 64))}`;
  if (CONNECTION_NAMES.has(name)) return `connection-specific field ${name}`;
  if (name === "te" && value !== "trailers") return `te is ${JSON.stringify(value.slice(0, 64))}`;
  if (BAD_VALUE.test(value)) return `invalid value of ${name}`;
  return undefined;
}

const REQUEST_PSEUDO: ReadonlySet<string> = new Set([":method", ":scheme", ":path", ":authority"]);
const RESPONSE_PSEUDO: ReadonlySet<string> = new Set([":status"]);
const NO_PSEUDO: ReadonlySet<string> = new Set();

/** What a request says, or what is wrong with it. */
export function parseRequestHead(list: HeaderList): RequestHead | string {
  const pseudo = new Map<string, string>();
  const fault = checkFields(list, REQUEST_PSEUDO, pseudo);
  if (fault !== undefined) return fault;
  const method = pseudo.get(":method");
  const scheme = pseudo.get(":scheme");
  const path = pseudo.get(":path");
  if (method === undefined || method === "") return "no :method";
  const isConnect = method === "CONNECT";
  if (isConnect !== (scheme === undefined)) return "no :scheme";
  if (isConnect ? path !== undefined : path === undefined || path === "") return "no :path";
  let contentType = "";
  let contentLength = -1;
  let authority = pseudo.get(":authority") ?? "";
  const { fields } = list;
  for (let i = 0; i < fields.length; i += 2) {
    const value = fields[i + 1]!;
    switch (fields[i]) {
      case "content-type":
        contentType = value;
        break;
      case "content-length":
        if (!/^[0-9]{1,15}$/.test(value)) return "invalid content-length";
        if (contentLength >= 0 && contentLength !== Number(value)) return "two content-lengths";
        contentLength = Number(value);
        break;
      case "host":
        if (authority === "") authority = value;
        break;
      default:
    }
  }
  const [at, to] = [scheme ?? "", path ?? ""];
  const [derived, like] = [undefined, undefined];
  return { method, scheme: at, authority, path: to, contentType, contentLength, list, derived, like };
}

/** The status of an answer, or what is wrong with it. */
export function parseResponseStatus(list: HeaderList): number | string {
  const pseudo = new Map<string, string>();
  const fault = checkFields(list, RESPONSE_PSEUDO, pseudo);
  if (fault !== undefined) return fault;
  const status = pseudo.get(":status");
  if (status === undefined || !/^[1-5][0-9]{2}$/.test(status)) return "no valid :status";
  return Number(status);
}

/** What is wrong with trailers, or undefined. */
export function faultOfTrailers(list: HeaderList): string | undefined {
  return checkFields(list, NO_PSEUDO, new Map());
}

function checkFields(
  { fields }: HeaderList,
  allowed: ReadonlySet<string>,
  pseudo: Map<string, string>,
): string | undefined {
  let isRegular = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    const value = fields[i + 1]!;
    if (name.startsWith(":")) {
      if (isRegular) return `${name} after other fields`;
      if (!allowed.has(name)) return `unexpected ${JSON.stringify(name.slice(0, 64))}`;
      if (pseudo.has(name)) return `${name} twice`;
      if (BAD_VALUE.test(value)) return `invalid value of ${name}`;
      pseudo.set(name, value);
    } else {
      isRegular = true;
      const fault = faultOfField(name, value);
      if (fault !== undefined) return fault;
    }
  }
  return undefined;
}
