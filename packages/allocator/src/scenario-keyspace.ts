// A keyspace for tests: items `{"R":n}`, members `{"R":limit,"E":exiting}` below /root, assignments with the value
// `consistent` or none.
import { Gate, text, type Clock, type Logger } from "@millrace/base";
import { Keyspace, type CoordinationStore, type KeyspaceEntry } from "@millrace/metadata";
import type { AllocatorMirror } from "./allocate.ts";
import type {
  AllocatorKeys,
  AssignmentEntry,
  ConsistencyRule,
  ItemEntry,
  MemberEntry,
  Snapshot,
} from "./entries.ts";

type Value =
  | { readonly kind: "item"; readonly id: string; readonly replication: number }
  | { readonly kind: "member"; readonly name: string; readonly limit: number; readonly exiting: boolean }
  | {
      readonly kind: "assignment";
      readonly item: string;
      readonly member: string;
      readonly slot: number;
      readonly value: Uint8Array;
    };

export const scenarioKeys: AllocatorKeys = {
  item: (id) => `/root/items/${id}`,
  assignments: (item) => `/root/assign/${item}#`,
  assignment: (item, member, slot) => `/root/assign/${item}#${member}#${slot}`,
};

export const saysConsistent: ConsistencyRule = (_item, { value }) => text(value) === "consistent";

export function decodeScenario(key: string, value: Uint8Array): Value | Error {
  const [, , kind, ...rest] = key.split("/");
  const parts = rest.join("/").split("#");
  if (kind === "items" && parts.length === 1) {
    const { R } = JSON.parse(text(value)) as { R: number };
    return { kind: "item", id: parts[0]!, replication: R };
  }
  if (kind === "members" && parts.length === 2) {
    const { R, E = false } = JSON.parse(text(value)) as { R: number; E?: boolean };
    return { kind: "member", name: parts.join("#"), limit: R, exiting: E };
  }
  const slot = Number(parts[3]);
  if (kind === "assign" && parts.length === 4 && Number.isInteger(slot)) {
    return { kind: "assignment", item: parts[0]!, member: `${parts[1]}#${parts[2]}`, slot, value };
  }
  return new Error("not a key of a scenario");
}

/** In key order. */
export function snapshotOf(entries: readonly KeyspaceEntry<Value>[], revision: number): Snapshot {
  const items: ItemEntry[] = [];
  const members: MemberEntry[] = [];
  const assignments: AssignmentEntry[] = [];
  for (const { key, value, createRevision, modRevision, lease } of entries) {
    switch (value.kind) {
      case "item":
        items.push({ key, id: value.id, replication: value.replication, modRevision });
        break;
      case "member": {
        const { name, limit, exiting } = value;
        const zone = name.slice(0, name.indexOf("#"));
        members.push({ key, name, zone, limit, exiting, createRevision, modRevision, lease });
        break;
      }
      case "assignment":
        assignments.push({ key, ...value, modRevision, lease });
    }
  }
  return { revision, items, members, assignments };
}

export class ScenarioMirror implements AllocatorMirror {
  readonly changed = new Gate();
  readonly keyspace: Keyspace<Value>;

  constructor(store: CoordinationStore, clock: Clock, logger: Logger, applyDelayMs = 0) {
    this.keyspace = new Keyspace({
      store,
      clock,
      logger,
      prefix: "/root/",
      decode: decodeScenario,
      applyDelayMs,
    });
    this.keyspace.observe(() => this.changed.open());
  }

  snapshot(): Snapshot {
    return snapshotOf(this.keyspace.scan(), this.keyspace.revision);
  }

  members(): readonly MemberEntry[] {
    return snapshotOf(this.keyspace.scan("/root/members/"), 0).members;
  }

  hasItems(member: string): boolean {
    const { items, assignments } = this.snapshot();
    const alive = new Set(items.map(({ id }) => id));
    return assignments.some((one) => one.member === member && alive.has(one.item));
  }

  waitForRevision(revision: number, signal: AbortSignal): Promise<void> {
    return this.keyspace.waitForRevision(revision, signal);
  }
}

/** A snapshot of plain keys and values, as if each had been put at a revision of its own, in their order. */
export function snapshotOfValues(values: Readonly<Record<string, string>>): Snapshot {
  const entries: KeyspaceEntry<Value>[] = [];
  for (const [at, [key, plain]] of Object.entries(values).entries()) {
    const value = decodeScenario(key, new TextEncoder().encode(plain));
    if (value instanceof Error) throw value;
    entries.push({ key, value, createRevision: at + 1, modRevision: at + 1, version: 1, lease: 0n });
  }
  entries.sort((a, b) => (a.key < b.key ? -1 : 1));
  return snapshotOf(entries, entries.length);
}
