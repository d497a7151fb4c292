// Splits URLs the way Go's net/url does, since its verdicts and texts are part of the protocol. The platform's
// URL class will not do: it rewrites paths and invents hosts for schemes that it knows.
import { invalid, ValidationError } from "@millrace/protobuf";
import { goQuote } from "./go-quote.ts";

export interface UrlParts {
  /** Lowercase, "" when the URL is relative. */
  readonly scheme: string;
  /** With the port, unescaped, without user information. */
  readonly host: string;
  /** Unescaped. */
  readonly path: string;
  /** As given, without the `?`. */
  readonly rawQuery: string;
}

/** @throws {ValidationError} `parse "<url>": <reason>` */
export function parseUrl(url: string): UrlParts {
  const [address, fragment] = cut(url, "#");
  const parts = quoting(address, () => splitAddress(address));
  quoting(url, () => unescape(fragment, "path"));
  return parts;
}

function quoting<T>(url: string, parse: () => T): T {
  try {
    return parse();
  } catch (thrown) {
    // The quoted URL is part of the reason, not a context: contexts in front of it end in ": ", not in ".".
    if (thrown instanceof ValidationError) invalid(`parse ${goQuote(url)}: ${thrown.reason}`);
    throw thrown;
  }
}

/** Splits a URL without fragment. */
function splitAddress(url: string): UrlParts {
  if (/[\x00-\x1f\x7f]/.test(url)) return invalid("net/url: invalid control character in URL");
  const { scheme, rest } = splitScheme(url);
  const [hierarchical, rawQuery] = cut(rest, "?");
  if (!hierarchical.startsWith("/")) {
    if (scheme !== "") return { scheme, host: "", path: "", rawQuery }; // Opaque, as in mailto:x.
    const colon = hierarchical.indexOf(":");
    if (colon >= 0 && !hierarchical.slice(0, colon).includes("/")) {
      return invalid("first path segment in URL cannot contain colon");
    }
  }
  if (!hierarchical.startsWith("//") || (scheme === "" && hierarchical.startsWith("///"))) {
    return { scheme, host: "", path: unescape(hierarchical, "path"), rawQuery };
  }
  const slash = hierarchical.indexOf("/", 2);
  const authority = hierarchical.slice(2, slash === -1 ? undefined : slash);
  const host = parseAuthority(authority);
  return { scheme, host, path: slash === -1 ? "" : unescape(hierarchical.slice(slash), "path"), rawQuery };
}

function splitScheme(url: string): { readonly scheme: string; readonly rest: string } {
  if (url.startsWith(":")) return invalid("missing protocol scheme");
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(url);
  if (match === null) return { scheme: "", rest: url };
  return { scheme: match[1]!.toLowerCase(), rest: url.slice(match[0].length) };
}

function parseAuthority(authority: string): string {
  const at = authority.lastIndexOf("@");
  const host = parseHost(authority.slice(at + 1));
  const user = authority.slice(0, Math.max(at, 0));
  if (!/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(user)) return invalid("net/url: invalid userinfo");
  unescape(user, "path");
  return host;
}

function parseHost(host: string): string {
  const bracket = host.lastIndexOf("[");
  if (bracket > 0) return invalid("invalid IP-literal");
  if (bracket === 0) return parseIpLiteral(host);
  const colon = host.lastIndexOf(":"); // A host may be a list with ports.
  if (colon !== -1) checkPort(host.slice(colon));
  return unescape(host, "host");
}

/** `[::1]` or `[fe80::1%25en0]`, with or without a port. The digits are left to whoever connects. */
function parseIpLiteral(host: string): string {
  const end = host.lastIndexOf("]");
  if (end < 0) return invalid("missing ']' in host");
  checkPort(host.slice(end + 1));
  if (!/^[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(%25.+)?$/.test(host.slice(1, end)))
    return invalid("invalid IP-literal");
  return unescape(host, "host");
}

function checkPort(port: string): void {
  if (!/^(:[0-9]*)?$/.test(port)) invalid(`invalid port ${goQuote(port)} after host`);
}

function unescape(text: string, where: "path" | "host"): string {
  // In a host, only bytes outside ASCII and the percent sign itself may be escaped.
  const pattern =
    where === "path" ? /%(?![0-9a-fA-F]{2}).{0,2}/su : /%(?!25|[89a-fA-F][0-9a-fA-F]).{0,2}|[ \\^`{|}]/su;
  const [bad] = pattern.exec(text) ?? [];
  if (bad?.startsWith("%") === true) return invalid(`invalid URL escape ${goQuote(bad)}`);
  if (bad !== undefined) return invalid(`invalid character ${goQuote(bad)} in host name`);
  return text.replace(/(%[0-9a-fA-F]{2})+/g, (run) => {
    try {
      return decodeURIComponent(run);
    } catch {
      return run; // Bytes that are not UTF-8: kept escaped, since a string cannot hold them.
    }
  });
}

function cut(text: string, separator: string): readonly [before: string, after: string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}
