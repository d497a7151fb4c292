// Splits URLs the way Go's net/url does, since its verdicts and texts are part of the protocol. The platform's
// URL class will not do: it rewrites paths and invents hosts for schemes that it knows.
import { goQuote } from "./go-quote.ts";
import { invalid, ValidationError } from "./validation-error.ts";

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
  try {
    return splitUrl(url);
  } catch (thrown) {
    if (thrown instanceof ValidationError) invalid(`parse ${goQuote(url)}: ${thrown.reason}`);
    throw thrown;
  }
}

function splitUrl(url: string): UrlParts {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\x00-\x1f\x7f]/.test(url)) return invalid("net/url: invalid control character in URL");
  const [withoutFragment] = cut(url, "#");
  const { scheme, rest } = splitScheme(withoutFragment);
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
  const [authority, path] = cut(hierarchical.slice(2), "/");
  const slash = hierarchical.indexOf("/", 2) === -1 ? "" : "/";
  return { scheme, host: parseAuthority(authority), path: unescape(slash + path, "path"), rawQuery };
}

function splitScheme(url: string): { readonly scheme: string; readonly rest: string } {
  if (url.startsWith(":")) return invalid("missing protocol scheme");
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(url);
  if (match === null) return { scheme: "", rest: url };
  return { scheme: match[1]!.toLowerCase(), rest: url.slice(match[0].length) };
}

function parseAuthority(authority: string): string {
  const at = authority.lastIndexOf("@");
  const host = authority.slice(at + 1);
  if (at >= 0 && !/^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/.test(authority.slice(0, at))) {
    return invalid("net/url: invalid userinfo");
  }
  const bracket = host.lastIndexOf("]");
  if (host.startsWith("[") && bracket < 0) return invalid("missing ']' in host");
  const port = host.startsWith("[") ? host.slice(bracket + 1) : host.slice(portStart(host));
  if (!/^(:[0-9]*)?$/.test(port)) return invalid(`invalid port ${goQuote(port)} after host`);
  return unescape(host, "host");
}

function portStart(host: string): number {
  const colon = host.lastIndexOf(":");
  return colon === -1 ? host.length : colon;
}

function unescape(text: string, where: "path" | "host"): string {
  const bad = /%(?![0-9a-fA-F]{2}).{0,2}/s.exec(text);
  if (bad !== null) return invalid(`invalid URL escape ${goQuote(bad[0])}`);
  const stray = where === "host" ? /[ \\^`{|}]/.exec(text) : null;
  if (stray !== null) return invalid(`invalid character ${goQuote(stray[0])} in host name`);
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
