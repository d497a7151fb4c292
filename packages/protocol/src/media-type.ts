// MIME media types as Go's mime.ParseMediaType reads them: the `content-type` label must be one.
import { invalid } from "@millrace/protobuf";

const TOKEN = /^[!#$%&'*+\-.0-9A-Z^_`a-z|~]+/;
const QUOTED = /^"((?:[^"\\\r\n]|\\.)*)"/;
const PARAMETER = /^\s*;\s*([!#$%&'*+\-.0-9A-Z^_`a-z|~]+)\s*=\s*/;

/** @throws {ValidationError} with Go's text */
export function validateMediaType(text: string): void {
  const semicolon = text.indexOf(";");
  validateType(semicolon === -1 ? text : text.slice(0, semicolon));
  const seen = new Set<string>();
  let rest = semicolon === -1 ? "" : text.slice(semicolon);
  while (rest !== "") {
    rest = rest.trimStart();
    if (rest === "") return;
    const head = PARAMETER.exec(rest);
    const value = head === null ? null : parameterValue(rest.slice(head[0].length));
    if (head === null || value === null) {
      if (rest.trim() === ";") return; // Trailing semicolons are common and harmless.
      return invalid("mime: invalid media parameter");
    }
    const name = head[1]!.toLowerCase();
    if (seen.has(name)) return invalid("mime: duplicate parameter name");
    seen.add(name);
    rest = rest.slice(head[0].length + value.length);
  }
}

function validateType(text: string): void {
  const type = text.trim().toLowerCase();
  const major = TOKEN.exec(type)?.[0];
  if (major === undefined) return invalid("mime: no media type");
  if (major === type) return;
  const rest = type.slice(major.length);
  if (!rest.startsWith("/")) return invalid("mime: expected slash after first token");
  const minor = TOKEN.exec(rest.slice(1))?.[0];
  if (minor === undefined) return invalid("mime: expected token after slash");
  if (minor.length + 1 !== rest.length) return invalid("mime: unexpected content after media subtype");
}

/** The text of a value at the front of `text`, a token or a quoted string; null when there is none. */
function parameterValue(text: string): string | null {
  return QUOTED.exec(text)?.[0] ?? TOKEN.exec(text)?.[0] ?? null;
}
