// Headers of a request as a mapping may ask for them: canonical names (`Content-Type`), sorted, the first value of each
// name (keboola-stream specification 3.1, 3.2). Each form is made when somebody asks for it, once for a request.
import { headerLines, utf8, type RequestHead } from "@millrace/base";

export class RecordHeaders {
  readonly #first = new Map<string, string>();
  #object: Readonly<Record<string, string>> | undefined;
  #text: string | undefined;
  #json: Uint8Array | undefined;

  /** @param lines as they were received */
  constructor(lines: Iterable<readonly [name: string, value: string]>) {
    const first = new Map<string, string>();
    for (const [name, value] of lines) {
      const canonical = canonicalName(name);
      if (!first.has(canonical)) first.set(canonical, value);
    }
    for (const [name, value] of [...first].sort(([a], [b]) => (a < b ? -1 : 1))) this.#first.set(name, value);
  }

  /** @param name canonical */
  get(name: string): string | undefined {
    return this.#first.get(name);
  }

  object(): Readonly<Record<string, string>> {
    this.#object ??= Object.fromEntries(this.#first);
    return this.#object;
  }

  /** A line `Name: value\n` for each. */
  text(): string {
    this.#text ??= Array.from(this.#first, ([name, value]) => `${name}: ${value}\n`).join("");
    return this.#text;
  }

  json(): Uint8Array {
    if (this.#json === undefined) {
      // Not of object(): names such as `1` would come first.
      const members = Array.from(
        this.#first,
        ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`,
      );
      this.#json = utf8(`{${members.join(",")}}`);
    }
    return this.#json;
  }
}

export function headersOf(head: RequestHead): RecordHeaders {
  return new RecordHeaders(headerLines(head));
}

export function canonicalName(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}
