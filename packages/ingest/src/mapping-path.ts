// Paths of a mapping (`a.b[0].c`, `a["b.c"]`; empty: the whole body) and the tree that the JSON scanner walks with
// them: one tree for all sinks of a source, so that a body is scanned once however many columns and sinks want
// something of it.
import { utf8 } from "@millrace/base";

/** A key of an object or an index of an array. */
export type PathStep = string | number;

/** The path's steps, or what is wrong with it. */
export type PathOutcome =
  | { readonly kind: "steps"; readonly steps: readonly PathStep[] }
  | { readonly kind: "invalid"; readonly reason: string };

/** Deeper than any mapping of a real table; bounds the scanner's stack. */
export const PATH_STEPS_MAX = 64;

/** A key up to a dot or a bracket; an index; a key in quotes as JSON has them, which may hold anything. */
const KEY = /[^.[\]]+/y;
const INDEX = /\[([0-9]+)\]/y;
const QUOTED = /\[("(?:[^"\\]|\\.)*")\]/y;
const INDEX_MAX = 1_000_000;

/** Parses `path`: `a.b[0].c`, and `a["b.c"]` for keys that are not plain. */
export function parsePath(path: string): PathOutcome {
  const steps: PathStep[] = [];
  let at = 0;
  while (at < path.length) {
    const isBracket = path[at] === "[";
    if (at > 0 && !isBracket) {
      if (path[at] !== ".") return { kind: "invalid", reason: `unexpected "${path[at]}" at ${at}` };
      at++;
    }
    const found = isBracket ? bracketAt(path, at) : match(KEY, path, at);
    if (found === undefined) {
      return { kind: "invalid", reason: isBracket ? `unexpected bracket at ${at}` : `empty step at ${at}` };
    }
    const step = isBracket ? stepOf(found[1]!) : found[0];
    if (step === undefined) return { kind: "invalid", reason: `malformed string at ${at + 1}` };
    if (typeof step === "number" && step > INDEX_MAX) {
      return { kind: "invalid", reason: `index ${found[1]} out of range (0..${INDEX_MAX})` };
    }
    steps.push(step);
    if (steps.length > PATH_STEPS_MAX)
      return { kind: "invalid", reason: `more than ${PATH_STEPS_MAX} steps` };
    at += found[0].length;
  }
  return { kind: "steps", steps };
}

function bracketAt(path: string, at: number): RegExpExecArray | undefined {
  return match(INDEX, path, at) ?? match(QUOTED, path, at);
}

function match(pattern: RegExp, path: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(path) ?? undefined;
}

/** What stands in brackets. */
function stepOf(text: string): PathStep | undefined {
  try {
    return JSON.parse(text.replace(/^0+(?=[0-9])/, "")) as PathStep;
  } catch {
    return undefined;
  }
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
