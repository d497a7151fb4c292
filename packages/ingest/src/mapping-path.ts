// Paths of a mapping (`a.b[0].c`; empty: the whole body) and the tree that the JSON scanner walks with them: one tree
// for all sinks of a source, so that a body is scanned once however many columns and sinks want something of it.
import { utf8 } from "@millrace/base";

/** A key of an object or an index of an array. */
export type PathStep = string | number;

/** The path's steps, or what is wrong with it. */
export type PathOutcome =
  | { readonly kind: "steps"; readonly steps: readonly PathStep[] }
  | { readonly kind: "invalid"; readonly reason: string };

/** Deeper than any mapping of a real table; bounds the scanner's stack. */
export const PATH_STEPS_MAX = 64;

/** Parses `path`. */
export function parsePath(path: string): PathOutcome {
  const steps: PathStep[] = [];
  if (path === "") return { kind: "steps", steps };
  for (const part of path.split(".")) {
    const match = /^([^[\]]*)((?:\[[0-9]+\])*)$/.exec(part);
    if (match === null) return { kind: "invalid", reason: `unexpected bracket in "${part}"` };
    const [, key = "", indexes = ""] = match;
    const leading = steps.length === 0 && indexes !== "";
    if (key !== "") steps.push(key);
    else if (!leading) return { kind: "invalid", reason: "empty step" };
    for (const [, digits = ""] of indexes.matchAll(/\[([0-9]+)\]/g)) {
      const index = Number(digits);
      if (index > 1_000_000) return { kind: "invalid", reason: `index ${digits} out of range (0..1000000)` };
      steps.push(index);
    }
  }
  if (steps.length > PATH_STEPS_MAX) return { kind: "invalid", reason: `more than ${PATH_STEPS_MAX} steps` };
  return { kind: "steps", steps };
}

interface PathChild {
  readonly name: Uint8Array;
  readonly text: string;
  readonly node: PathNode;
}

const BUCKETS = 64;

/** A place in the body that some column wants, or that lies on the way to one. */
export class PathNode {
  /** Where the scanner notes the value; -1 when only descendants are wanted. */
  slot = -1;
  /** Slots of this node and all below it. */
  readonly below: number[] = [];
  /** The only child by index that is on the way, most often; see item(). */
  readonly #items = new Map<number, PathNode>();
  readonly #keys: (PathChild[] | undefined)[] = Array.from({ length: BUCKETS }, () => undefined);
  hasKeys = false;
  hasItems = false;

  child(step: PathStep): PathNode {
    if (typeof step === "number") {
      let node = this.#items.get(step);
      if (node === undefined) {
        node = new PathNode();
        this.#items.set(step, node);
        this.hasItems = true;
      }
      return node;
    }
    const name = utf8(step);
    const bucket = (this.#keys[bucketOf(name.length, name[0] ?? 0)] ??= []);
    const known = bucket.find((child) => child.text === step);
    if (known !== undefined) return known.node;
    const node = new PathNode();
    bucket.push({ name, text: step, node });
    this.hasKeys = true;
    return node;
  }

  /** The child whose key is bytes[begin, end), taken as it is written. */
  key(bytes: Uint8Array, begin: number, end: number): PathNode | undefined {
    const length = end - begin;
    const bucket = this.#keys[bucketOf(length, length === 0 ? 0 : bytes[begin]!)];
    if (bucket === undefined) return undefined;
    for (let i = 0; i < bucket.length; i++) {
      const child = bucket[i]!;
      const name = child.name;
      if (name.length !== length) continue;
      let at = 0;
      while (at < length && bytes[begin + at] === name[at]) at++;
      if (at === length) return child.node;
    }
    return undefined;
  }

  /** The child whose key is `text`: for keys that are written with escapes. */
  keyText(text: string): PathNode | undefined {
    const name = utf8(text);
    return this.key(name, 0, name.length);
  }

  item(index: number): PathNode | undefined {
    return this.#items.get(index);
  }
}

function bucketOf(length: number, first: number): number {
  return (length * 31 + first) & (BUCKETS - 1);
}

/** The paths of all mappings of a source; each different path has a slot. */
export class PathTree {
  readonly root = new PathNode();
  readonly #slots = new Map<string, number>();

  /** Number of slots. */
  get slots(): number {
    return this.#slots.size;
  }

  /** The slot of `steps`, which is added when it is new. */
  slotOf(steps: readonly PathStep[]): number {
    const name = JSON.stringify(steps);
    const known = this.#slots.get(name);
    if (known !== undefined) return known;
    const slot = this.#slots.size;
    this.#slots.set(name, slot);
    let node = this.root;
    node.below.push(slot);
    for (const step of steps) {
      node = node.child(step);
      node.below.push(slot);
    }
    node.slot = slot;
    return slot;
  }
}
