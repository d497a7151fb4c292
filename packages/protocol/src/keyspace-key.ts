// Keys and values of items, members and assignments in the coordination store.
//
//   <root>/items/<item>                          binary protobuf JournalSpec (of shards: their spec)
//   <root>/members/<zone>#<suffix>               binary protobuf BrokerSpec, under the member's lease
//   <root>/assign/<item>#<zone>#<suffix>#<slot>  empty, later a Route without endpoints; under the member's lease
//
// Keys are binary strings: each char code is one byte of the key's UTF-8, so that string order is the store's order.
// `#` is the lowest byte that can occur, so key order is the order of the entities.
import { assert } from "@millrace/base";
import { invalid } from "@millrace/protobuf";
import { goQuote } from "./go-quote.ts";
import { cleanPath } from "./go-path.ts";
import { decodeJournalSpec, validateJournalSpec, type JournalSpec } from "./journal-spec.ts";
import { decodeBrokerSpec, validateBrokerSpec, type BrokerSpec, type ProcessId } from "./process.ts";
import { decodeRoute, EMPTY_ROUTE, encodeRoute, validateRoute, type Route } from "./route.ts";

const SEPARATOR = "#";

export type EntityKey =
  | { readonly kind: "item"; readonly item: string }
  | { readonly kind: "member"; readonly member: ProcessId }
  | { readonly kind: "assignment"; readonly item: string; readonly member: ProcessId; readonly slot: number };

export type AssignmentId = Omit<Extract<EntityKey, { kind: "assignment" }>, "kind">;

/** A root is a clean path, and no other root in the same store may be a prefix of it. @throws {ValidationError} */
export function validateKeyspaceRoot(root: string): void {
  const clean = cleanPath(root);
  if (clean !== root) invalid(`expected prefix to be a cleaned path (${clean} != ${root})`);
}

/** Prefix of all items. */
export function itemsPrefix(root: string): string {
  return binary(`${root}/items/`);
}

/** Prefix of all members. */
export function membersPrefix(root: string): string {
  return binary(`${root}/members/`);
}

/** Prefix of all assignments, or of those of one item. */
export function assignmentsPrefix(root: string, item?: string): string {
  if (item === undefined) return binary(`${root}/assign/`);
  return binary(`${root}/assign/${component(item)}${SEPARATOR}`);
}

export function itemKey(root: string, item: string): string {
  return itemsPrefix(root) + binary(component(item));
}

export function memberKey(root: string, member: ProcessId): string {
  return membersPrefix(root) + binary(memberText(member));
}

/** @param assignment.slot 0 for the primary, an integer >= 0 */
export function assignmentKey(root: string, assignment: AssignmentId): string {
  const { item, member, slot } = assignment;
  assert(Number.isSafeInteger(slot), "slot is an integer", { slot });
  return assignmentsPrefix(root, item) + binary(`${memberText(member)}${SEPARATOR}${slot}`);
}

/**
 * What the entity of `key` is.
 * @throws {WireError} INVALID_ARGUMENT for a foreign key or one without the right parts
 */
export function parseEntityKey(root: string, key: string): EntityKey {
  const items = partsAfter(itemsPrefix(root), key);
  if (items !== undefined) {
    const [item] = items;
    return items.length === 1 && item !== undefined
      ? { kind: "item", item }
      : invalid("expected (id) in item key");
  }
  const members = partsAfter(membersPrefix(root), key);
  if (members !== undefined) {
    const [zone, suffix] = members;
    if (members.length !== 2 || zone === undefined || suffix === undefined) {
      return invalid("expected (zone, suffix) in member key");
    }
    return { kind: "member", member: { zone, suffix } };
  }
  const assignments = partsAfter(assignmentsPrefix(root), key);
  return assignments === undefined ? invalid("unexpected key prefix") : parseAssignment(assignments);
}

/**
 * The spec under an item key.
 * @throws {WireError} INVALID_ARGUMENT when it is malformed, invalid or of another journal
 */
export function decodeItemValue(journal: string, value: Uint8Array): JournalSpec {
  const spec = decodeJournalSpec(value);
  validateJournalSpec(spec, "stored");
  if (spec.name !== journal) invalid(`JournalSpec Name doesn't match Item ID (${spec.name} vs ${journal})`);
  return spec;
}

/**
 * The spec under a member key.
 * @throws {WireError} INVALID_ARGUMENT when it is malformed, invalid or of another member
 */
export function decodeMemberValue(member: ProcessId, value: Uint8Array): BrokerSpec {
  const spec = decodeBrokerSpec(value);
  validateBrokerSpec(spec);
  const { zone, suffix } = spec.id;
  if (zone !== member.zone) invalid(`BrokerSpec Zone doesn't match Member Zone (${zone} vs ${member.zone})`);
  if (suffix !== member.suffix) {
    invalid(`BrokerSpec Suffix doesn't match Member Suffix (${suffix} vs ${member.suffix})`);
  }
  return spec;
}

/** The route under an assignment key; of no bytes, the empty one. @throws {WireError} INVALID_ARGUMENT */
export function decodeAssignmentValue(value: Uint8Array): Route {
  if (value.length === 0) return EMPTY_ROUTE;
  const route = decodeRoute(value);
  validateRoute(route);
  return route;
}

/** The value of an assignment that advertises `route`; endpoints are left out, since members state their own. */
export function encodeAssignmentValue(route: Route): Uint8Array {
  return encodeRoute({ ...route, endpoints: [] });
}

function parseAssignment(parts: readonly string[]): EntityKey {
  const [item, zone, suffix, slot] = parts;
  if (
    parts.length !== 4 ||
    item === undefined ||
    zone === undefined ||
    suffix === undefined ||
    slot === undefined
  ) {
    return invalid("expected (item-id, member-zone, member-suffix, slot) in assignment key");
  }
  const number = /^[+-]?[0-9]+$/.test(slot) ? Number(slot) : NaN;
  if (!Number.isSafeInteger(number)) return invalid(`strconv.Atoi: parsing ${goQuote(slot)}: invalid syntax`);
  return { kind: "assignment", item, member: { zone, suffix }, slot: number };
}

function partsAfter(prefix: string, key: string): readonly string[] | undefined {
  return key.startsWith(prefix) ? unbinary(key.slice(prefix.length)).split(SEPARATOR) : undefined;
}

function memberText(member: ProcessId): string {
  return `${component(member.zone)}${SEPARATOR}${component(member.suffix)}`;
}

/** Validated names have no byte up to the separator. */
function component(text: string): string {
  assert(!/[\x00-#]/.test(text), "names in keys have no byte up to '#'", { text });
  return text;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function binary(text: string): string {
  if (isAscii(text)) return text;
  let out = "";
  for (const byte of encoder.encode(text)) out += String.fromCharCode(byte);
  return out;
}

function unbinary(key: string): string {
  return isAscii(key) ? key : decoder.decode(Uint8Array.from(key, (char) => char.charCodeAt(0)));
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}
