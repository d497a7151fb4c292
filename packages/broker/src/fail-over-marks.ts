// Marks of early fail-over (durability.md D13) in the coordination store, outside of what brokers of other kinds watch.
//
//   {"version":1,"kind":"refused","member":"a#one","createRevision":7,"reporter":"b#two"}    under the reporter's lease
//   {"version":1,"kind":"out","member":"a#one","createRevision":7}                           under the member's lease
//
// The create revision is that of the member's key: a mark of an earlier life says nothing.
import { strictText, utf8, WireError } from "@millrace/base";
import { keyOf, type Key } from "@millrace/metadata";

export interface Mark {
  readonly kind: "refused" | "out";
  /** Names as the keys of members have them. */
  readonly member: string;
  readonly createRevision: number;
  /** Of a refusal. */
  readonly reporter?: string;
}

const VERSION = 1;
const KEY_PREFIX = "!millrace/refused";
const MARK_BYTES_MAX = 4096;
const NAME_CHARS_MAX = 1024;

/** @throws {WireError} INVALID_ARGUMENT when brokers that watch the root would see the marks */
export function marksPrefix(root: string): Key {
  const prefix = `${KEY_PREFIX}#${root}#`;
  if (prefix.startsWith(root))
    throw new WireError("INVALID_ARGUMENT", `root ${root}: marks of refusals would lie below it`);
  return keyOf(prefix);
}

export function markKey(root: string, { member, reporter }: Pick<Mark, "member" | "reporter">): Key {
  const name = reporter === undefined ? member : `${member}#${reporter}`;
  return keyOf(`${marksPrefix(root)}${name}`);
}

export function encodeMark({ kind, member, createRevision, reporter }: Mark): Uint8Array {
  const by = reporter === undefined ? {} : { reporter };
  return utf8(JSON.stringify({ version: VERSION, kind, member, createRevision, ...by }));
}

/** @returns what is wrong with it, in place of the mark */
export function decodeMark(value: Uint8Array): Mark | Error {
  if (value.length > MARK_BYTES_MAX) return wrong(`${value.length} bytes (at most ${MARK_BYTES_MAX})`);
  const plain = parse(value);
  if (typeof plain !== "object" || plain === null) return wrong("it is no JSON object");
  const fields = plain as Readonly<Record<string, unknown>>;
  const { version, kind, member, createRevision, reporter } = fields;
  if (version !== VERSION) return wrong("its version is not known");
  if (!isName(member)) return wrong("its member is no name");
  if (typeof createRevision !== "number" || !Number.isSafeInteger(createRevision) || createRevision < 0)
    return wrong("its create revision is no revision");
  if (kind === "out" && reporter === undefined) return { kind, member, createRevision };
  if (kind === "refused" && isName(reporter)) return { kind, member, createRevision, reporter };
  return wrong("its kind is not known, or the reporter does not belong to it");
}

function parse(value: Uint8Array): unknown {
  try {
    return JSON.parse(strictText(value) ?? "");
  } catch {
    return undefined;
  }
}

function isName(plain: unknown): plain is string {
  return typeof plain === "string" && plain !== "" && plain.length <= NAME_CHARS_MAX;
}

function wrong(what: string): Error {
  return new WireError("CORRUPT", `mark of a refusal: ${what}`);
}
