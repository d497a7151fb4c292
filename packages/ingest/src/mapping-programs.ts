// The JSONata programs of all mappings that share a record. They are evaluated before it is mapped
// (records-ahead.ts), all at once and elsewhere; a mapping finds their values by slot.
import { latin1, text } from "@millrace/base";
import { EVALUATION_LIMITS, MENTIONS_BODY_TEXT, MENTIONS_HEADERS, type RecordInput } from "@millrace/jsonata";
import { isUtf8 } from "./body-utf8.ts";
import type { RecordContext } from "./mapping-record.ts";

/** Steps of all programs of a record: some 400 ms. Eight of them have the bound of a program. */
const RECORD_STEPS_MAX = 400_000;

export class ProgramSet {
  readonly #slots = new Map<string, number>();
  #mentionsHeaders = false;
  #mentionsBodyText = false;

  get count(): number {
    return this.#slots.size;
  }

  /** By slot. */
  get programs(): readonly string[] {
    return [...this.#slots.keys()];
  }

  /** Bound of each. */
  get steps(): number {
    return Math.min(EVALUATION_LIMITS.steps, Math.floor(RECORD_STEPS_MAX / Math.max(1, this.count)));
  }

  /** The slot of a program, which is added when it is new. */
  slotOf(program: string): number {
    const known = this.#slots.get(program);
    if (known !== undefined) return known;
    const slot = this.#slots.size;
    this.#slots.set(program, slot);
    this.#mentionsHeaders ||= MENTIONS_HEADERS.test(program);
    this.#mentionsBodyText ||= MENTIONS_BODY_TEXT.test(program);
    return slot;
  }

  /** What the programs may see of `record`: a copy. */
  inputOf(record: RecordContext): RecordInput {
    const { acceptedAtMs: atMs, clientIp, scanner, form, body, bodyBegin, bodyEnd } = record;
    const ip = latin1(clientIp, 0, clientIp.length);
    const value =
      form === "scanned" ? scanner.bytes.subarray(scanner.valueBegin, scanner.valueEnd) : undefined;
    const input: RecordInput = { atMs, ip, body: value === undefined ? undefined : text(value) };
    if (!this.#mentionsHeaders && !this.#mentionsBodyText) return input;
    const headers = record.headers();
    const seen = this.#mentionsHeaders ? { headers: headers.object(), headerText: headers.text() } : {};
    const isText = this.#mentionsBodyText && (record.bodyIsText || isUtf8(body.bytes, bodyBegin, bodyEnd));
    return {
      ...input,
      ...seen,
      bodyText: isText ? text(body.bytes.subarray(bodyBegin, bodyEnd)) : undefined,
    };
  }
}
