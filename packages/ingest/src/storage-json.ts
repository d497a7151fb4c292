// Reads the fields of a JSON value that came from a store: the field that is wrong is named, with what it holds.
import { WireError } from "@millrace/base";

export class JsonFields {
  readonly #what: string;
  readonly #fields: Readonly<Record<string, unknown>>;

  /** @param what names the value in messages @throws {WireError} CORRUPT unless `value` is an object */
  constructor(value: unknown, what: string) {
    this.#what = what;
    if (typeof value !== "object" || value === null || Array.isArray(value))
      this.#refuse("", "an object", value);
    this.#fields = value as Readonly<Record<string, unknown>>;
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined;
  }

  isText(name: string): boolean {
    return typeof this.#fields[name] === "string";
  }

  text(name: string): string {
    const value = this.#fields[name];
    if (typeof value !== "string" || value === "") this.#refuse(name, "a text", value);
    return value;
  }

  flag(name: string): boolean {
    const value = this.#fields[name];
    if (typeof value !== "boolean") this.#refuse(name, "true or false", value);
    return value;
  }

  /** A safe integer of at least `min`. */
  integer(name: string, min = 0): number {
    const value = this.#fields[name];
    if (!Number.isSafeInteger(value) || (value as number) < min)
      this.#refuse(name, `an integer >= ${min}`, value);
    return value as number;
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T {
    const value = values.find((one) => one === this.#fields[name]);
    if (value === undefined) this.#refuse(name, `one of ${values.join(", ")}`, this.#fields[name]);
    return value;
  }

  /** UTC ISO 8601 with milliseconds. */
  time(name: string): string {
    const value = this.#fields[name];
    if (typeof value !== "string" || !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value)) {
      this.#refuse(name, "a time", value);
    }
    return value;
  }

  object(name: string): JsonFields {
    return new JsonFields(this.#fields[name], `${this.#what}: ${name}`);
  }

  list<T>(name: string, element: (value: unknown, what: string) => T): T[] {
    const value = this.#fields[name];
    if (!Array.isArray(value)) this.#refuse(name, "a list", value);
    return value.map((item, i) => element(item, `${this.#what}: ${name}[${i}]`));
  }

  /** An object all of whose values are `allowed`. */
  record(name: string, allowed: (value: unknown) => boolean): void {
    const value = this.#fields[name];
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    if (!isObject || !Object.values(value).every(allowed))
      this.#refuse(name, "an object of plain values", value);
  }

  /** Refuses the fields that only another state has. */
  forbid(names: readonly string[], why: string): void {
    for (const name of names) if (this.has(name)) this.#refuse(name, `absent: ${why}`, this.#fields[name]);
  }

  #refuse(name: string, expected: string, value: unknown): never {
    const field = name === "" ? "" : ` field ${name}:`;
    const shown = value === undefined ? "nothing" : JSON.stringify(value).slice(0, 100);
    throw new WireError("CORRUPT", `${this.#what}:${field} expected ${expected}, got ${shown}`, {
      facts: { what: this.#what, field: name },
    });
  }
}

/** The JSON value in `bytes`. @throws {WireError} CORRUPT */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new WireError("CORRUPT", `${what}: not JSON`, { facts: { what }, cause });
  }
}

/** UTC ISO 8601 with milliseconds. */
export function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

export function msOf(time: string): number {
  return Date.parse(time);
}
