// The holders list in the coordination store: its key, and its value as JSON, so that whoever looks at the store during
// an incident can read it.
//
//   {"version":1,"createRevision":7,"segments":[{"epoch":9,"begin":0,"members":["…"]}],"tail":{"kind":"held"}}
//   a segment whose members acknowledged before they had synced has "loose":true, one that was written in place of a
//   list that nobody could read "relisted":true, too
//   tails: {"kind":"held"}, {"kind":"closed","end":5,"registers":[["author","a"]]}, {"kind":"void","begin":5},
//          the last with registers too when a closed list had them
//
// A value of another version is refused: whoever cannot read the list may not commit. Fields that are not known are
// refused too, since a field is a rule. The create revision is that of the journal: a list of an earlier life is none.
import { assert, strictText, utf8, WireError } from "@millrace/base";
import { label, type LabelSet } from "@millrace/protocol";
import { validateHolders, type HoldersList, type HoldersTail, type Segment } from "./holders-list.ts";
import {
  HOLDERS_BYTES_MAX,
  HOLDER_ID_CHARS_MAX,
  HOLDERS_MEMBERS_MAX,
  HOLDERS_SEGMENTS_MAX,
} from "./limits.ts";

const VERSION = 1;
/** Not below any root that Gazette's brokers watch; a root may not contain what comes first here. */
const KEY_PREFIX = "!millrace/holders";

export interface StoredHolders {
  /** Of the journal whose list it is. */
  readonly createRevision: number;
  readonly list: HoldersList;
}

/**
 * @param root of the keyspace, as `/gazette/cluster`
 * @throws {WireError} INVALID_ARGUMENT when brokers that watch the root would see the key
 */
export function holdersKey(root: string, journal: string): string {
  const key = `${KEY_PREFIX}#${root}#${journal}`;
  if (key.startsWith(root))
    throw new WireError("INVALID_ARGUMENT", `root ${root}: lists of holders would lie below it`);
  return key;
}

/**
 * @returns the value, or undefined when it is larger than a value may be: too many segments, or registers that do not
 * fit; the list is then left as it is
 */
export function encodeHolders({ createRevision, list }: StoredHolders): Uint8Array | undefined {
  const wrong = validateHolders(list);
  assert(wrong === undefined, "a list that is written can be read", { wrong });
  const { segments, tail } = list;
  const bytes = utf8(JSON.stringify({ version: VERSION, createRevision, segments, tail: encodeTail(tail) }));
  return bytes.length > HOLDERS_BYTES_MAX || segments.length > HOLDERS_SEGMENTS_MAX ? undefined : bytes;
}

/** @throws {WireError} CORRUPT, naming the field */
export function decodeHolders(bytes: Uint8Array): StoredHolders {
  if (bytes.length > HOLDERS_BYTES_MAX) throw corrupt(`${bytes.length} bytes (at most ${HOLDERS_BYTES_MAX})`);
  const value = fields(parse(bytes), "value", ["version", "createRevision", "segments", "tail"]);
  if (value["version"] !== VERSION) throw corrupt(`version ${shown(value["version"])} is not known`);
  const createRevision = whole(value["createRevision"], "createRevision");
  const segments = array(value["segments"], "segments", HOLDERS_SEGMENTS_MAX).map(decodeSegment);
  const list: HoldersList = { segments, tail: decodeTail(value["tail"]) };
  const wrong = validateHolders(list);
  if (wrong !== undefined) throw corrupt(wrong);
  return { createRevision, list };
}

function encodeTail(tail: HoldersTail): unknown {
  if (tail.kind === "held" || tail.registers === undefined) return tail;
  return { ...tail, registers: tail.registers.labels.map(({ name, value }) => [name, value]) };
}

function decodeSegment(plain: unknown): Segment {
  const value = fields(plain, "segment", ["epoch", "begin", "members", "loose", "relisted"]);
  const members = array(value["members"], "members", HOLDERS_MEMBERS_MAX).map((id) => text(id, "member"));
  if (members.some((id) => id === "" || id.length > HOLDER_ID_CHARS_MAX)) {
    throw corrupt(`an id of a member is empty or longer than ${HOLDER_ID_CHARS_MAX} characters`);
  }
  const { loose, relisted } = value;
  if (loose !== undefined && loose !== true) throw corrupt(`loose ${shown(loose)} is not true`);
  if (relisted !== undefined && relisted !== true) throw corrupt(`relisted ${shown(relisted)} is not true`);
  const [epoch, begin] = [whole(value["epoch"], "epoch"), whole(value["begin"], "begin")];
  return { epoch, begin, members, ...(loose && { loose }), ...(relisted && { relisted }) };
}

function decodeTail(plain: unknown): HoldersTail {
  const { kind } = fields(plain, "tail", ["kind", "end", "begin", "registers"]);
  switch (kind) {
    case "held":
      fields(plain, "tail", ["kind"]);
      return { kind };
    case "closed": {
      const value = fields(plain, "tail", ["kind", "end", "registers"]);
      return { kind, end: whole(value["end"], "end"), registers: decodeRegisters(value["registers"]) };
    }
    case "void": {
      const { begin, registers } = fields(plain, "tail", ["kind", "begin", "registers"]);
      const known = registers === undefined ? {} : { registers: decodeRegisters(registers) };
      return { kind, begin: whole(begin, "begin"), ...known };
    }
    default:
      throw corrupt(`tail ${shown(kind)} is not known`);
  }
}

function decodeRegisters(plain: unknown): LabelSet {
  const labels = array(plain, "registers", HOLDERS_BYTES_MAX).map((pair) => {
    const [name, value, ...more] = array(pair, "register", 2);
    if (more.length > 0) throw corrupt("a register is more than name and value");
    return label(text(name, "name of a register"), text(value, "value of a register"));
  });
  return { labels };
}

function parse(bytes: Uint8Array): unknown {
  const json = strictText(bytes);
  if (json === undefined) throw corrupt("it is not UTF-8");
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw corrupt("it is not JSON", cause);
  }
}

/** An object with no fields but `known`. */
function fields(plain: unknown, what: string, known: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof plain !== "object" || plain === null || Array.isArray(plain))
    throw corrupt(`${what} is no object`);
  const stranger = Object.keys(plain).find((name) => !known.includes(name));
  if (stranger !== undefined) throw corrupt(`${what} has a field ${shown(stranger)} that is not known`);
  return plain as Readonly<Record<string, unknown>>;
}

function array(plain: unknown, what: string, max: number): readonly unknown[] {
  if (!Array.isArray(plain)) throw corrupt(`${what} is no list`);
  if (plain.length > max) throw corrupt(`${what} has ${plain.length} entries (at most ${max})`);
  return plain;
}

function whole(plain: unknown, what: string): number {
  if (typeof plain !== "number" || !Number.isSafeInteger(plain) || plain < 0) {
    throw corrupt(`${what} ${shown(plain)} out of range (0 <= ${what} < 2^53)`);
  }
  return plain;
}

function text(plain: unknown, what: string): string {
  if (typeof plain !== "string") throw corrupt(`${what} is no text`);
  return plain;
}

/** Of a foreign value, not more than a message should have. */
function shown(plain: unknown): string {
  return (JSON.stringify(plain) ?? "nothing").slice(0, 40);
}

function corrupt(what: string, cause?: unknown): WireError {
  return new WireError("CORRUPT", `holders list: ${what}`, { cause });
}
