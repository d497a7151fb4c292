// Where the variables of a program are: resolved to frames and places while it is compiled.
import { forceThunk } from "./runtime.ts";
import { Thunk, type Code, type Frame, type LazyCode, type Site, type Slot } from "./value.ts";

/** The layout of frames of one kind. */
export class FrameLayout {
  readonly outer: FrameLayout | undefined;
  /** What runs in it, for traces. */
  readonly what: string;
  size: number;

  constructor(outer: FrameLayout | undefined, what: string, size = 1) {
    this.outer = outer;
    this.what = what;
    this.size = size;
  }
}

/** What names mean at a place of the program. */
export class Scope {
  readonly layout: FrameLayout;
  readonly #outer: Scope | undefined;
  readonly #places = new Map<string, number>();
  /** The frame of the innermost object around, and that of the outermost one. */
  readonly self: FrameLayout | undefined;
  readonly dollar: FrameLayout | undefined;

  private constructor(
    layout: FrameLayout,
    outer: Scope | undefined,
    self: FrameLayout | undefined,
    dollar: FrameLayout | undefined,
  ) {
    this.layout = layout;
    this.#outer = outer;
    this.self = self;
    this.dollar = dollar;
  }

  static top(): Scope {
    return new Scope(new FrameLayout(undefined, ""), undefined, undefined, undefined);
  }

  /** Further names in the same frame. */
  block(): Scope {
    return new Scope(this.layout, this, this.self, this.dollar);
  }

  /** A frame within this one's. */
  within(what: string): Scope {
    return new Scope(new FrameLayout(this.layout, what), this, this.self, this.dollar);
  }

  /** The frame of an object: [1] is the object, [2] the layer. */
  object(what: string): Scope {
    const layout = new FrameLayout(this.layout, what, 3);
    return new Scope(layout, this, layout, this.dollar ?? layout);
  }

  /** Gives `name` a place in this scope's frame. */
  declare(name: string): number {
    const place = this.layout.size++;
    this.#places.set(name, place);
    return place;
  }

  find(name: string): { readonly depth: number; readonly place: number } | undefined {
    let place = this.#places.get(name);
    let layout = this.layout;
    for (let scope = this.#outer; place === undefined && scope !== undefined; scope = scope.#outer) {
      place = scope.#places.get(name);
      layout = scope.layout;
    }
    return place === undefined ? undefined : { depth: this.depthOf(layout), place };
  }

  /** How many frames out `layout` is. */
  depthOf(layout: FrameLayout): number {
    let depth = 0;
    for (let at = this.layout; at !== layout; at = at.outer!) depth++;
    return depth;
  }
}

/** Reads the variable at `place` of the frame `depth` frames out. */
export function readVariable(depth: number, place: number): Code {
  if (depth === 0) {
    return (frame, rt) => {
      const slot = frame[place] as Slot;
      return slot instanceof Thunk ? (frame[place] = forceThunk(slot, rt)) : slot;
    };
  }
  if (depth === 1) {
    return (frame, rt) => {
      const outer = frame[0] as Frame;
      const slot = outer[place] as Slot;
      return slot instanceof Thunk ? (outer[place] = forceThunk(slot, rt)) : slot;
    };
  }
  return (frame, rt) => {
    const outer = frameAt(frame, depth);
    const slot = outer[place] as Slot;
    return slot instanceof Thunk ? (outer[place] = forceThunk(slot, rt)) : slot;
  };
}

/** Hands the variable on as it is, evaluated or not. */
export function passVariable(depth: number, place: number, read: Code, site: Site): LazyCode {
  return (frame) => {
    const slot = frameAt(frame, depth)[place] as Slot | undefined;
    // A later one of the same `local`.
    return slot === undefined ? new Thunk(read, frame, site) : slot;
  };
}

export function frameAt(frame: Frame, depth: number): Frame {
  let at = frame;
  for (let i = 0; i < depth; i++) at = at[0] as Frame;
  return at;
}
