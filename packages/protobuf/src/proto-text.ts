// Prototext as gogo/protobuf prints it: compact on one line (error texts, the X-Route-Token header) or with line
// breaks (tools). Zero scalars are left out, embedded messages that are always on the wire are not.
import { utf8 } from "@millrace/base";

export class ProtoText {
  readonly #multiline: boolean;
  #depth = 0;
  #out = "";

  constructor(layout: "compact" | "multiline") {
    this.#multiline = layout === "multiline";
  }

  scalar(name: string, value: string): void {
    this.#line(`${name}:${this.#multiline ? " " : ""}${value}`);
  }

  message(name: string, body: () => void): void {
    if (!this.#multiline) {
      this.#out += `${name}:<`;
      body();
      this.#out += "> ";
      return;
    }
    this.#line(`${name}: <`);
    this.#depth += 1;
    body();
    this.#depth -= 1;
    this.#line(">");
  }

  toString(): string {
    return this.#out;
  }

  #line(text: string): void {
    this.#out += this.#multiline ? `${"  ".repeat(this.#depth)}${text}\n` : `${text} `;
  }
}

const ESCAPES: Readonly<Record<number, string>> = { 9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\" };

/** A quoted string; bytes outside printable ASCII become octal escapes. */
export function quoteBytes(value: Uint8Array | string): string {
  const bytes = typeof value === "string" ? utf8(value) : value;
  let out = '"';
  for (const byte of bytes) {
    const printable = byte >= 0x20 && byte <= 0x7e;
    out +=
      ESCAPES[byte] ?? (printable ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`);
  }
  return `${out}"`;
}
