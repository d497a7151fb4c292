// What the answers on a watch's stream say, one after the other: pure.
//
// W1 A batch is whole revisions. etcd cuts a large answer into fragments anywhere; what follows a revision says that it
//    is whole, so that no more than one revision is kept, and not a history of a thousand of them.
// W2 `next` is the revision to go on from when the stream breaks: behind the last whole one, or behind a progress
//    notice, which etcd sends only when all events up to it have left.
// W3 A batch's header says the revision of its last event: that of the answer may lie beyond events still to come.
import { WireError } from "@millrace/base";
import type { StoreEvent, StoreHeader, WatchBatch } from "./coordination.ts";
import type { WatchResponse } from "./etcd-api/watch.ts";
import { endOfCancellation, type RpcEnd } from "./etcd-errors.ts";
import { headerOf } from "./etcd-messages.ts";
import { etcdRefusal } from "./etcd-refusals.ts";

export type WatchStep =
  | { readonly kind: "created"; readonly header: StoreHeader }
  | { readonly kind: "batch"; readonly batch: WatchBatch }
  | { readonly kind: "canceled"; readonly end: RpcEnd }
  | { readonly kind: "compacted"; readonly error: WireError };

/** Events of one revision that is not whole yet; deleting a range is one revision, whatever its size. */
const FRAGMENTED_EVENTS_MAX = 1 << 20;

export class WatchEvents {
  #next: number;
  readonly #fragments: StoreEvent[] = [];

  /** @param from the revision that the stream was asked to begin at */
  constructor(from: number) {
    this.#next = from;
  }

  get next(): number {
    return this.#next;
  }

  /** @throws {WireError} INTERNAL when the answer is none that etcd may give: end the stream */
  push(response: WatchResponse): readonly WatchStep[] {
    const header = headerOf(response);
    const steps: WatchStep[] = [];
    if (response.created && !response.canceled) steps.push({ kind: "created", header });
    if (response.canceled) steps.push(this.#canceled(response));
    else if (response.events.length > 0) steps.push(...this.#events(response, header));
    else if (!response.created && this.#fragments.length === 0) steps.push(...this.#progress(header));
    return steps;
  }

  #events(response: WatchResponse, header: StoreHeader): readonly WatchStep[] {
    for (const { type, kv } of response.events) {
      if (kv === undefined) throw broken("an event without a key");
      const last = this.#fragments.at(-1)?.kv.modRevision ?? this.#next;
      if (kv.modRevision < last) throw broken(`an event of revision ${kv.modRevision} after ${last}`);
      this.#fragments.push({ kind: type === "PUT" ? "put" : "delete", kv });
    }
    const whole = response.fragment ? this.#wholeEvents() : this.#fragments.length;
    const events = this.#fragments.splice(0, whole);
    if (this.#fragments.length > FRAGMENTED_EVENTS_MAX) {
      throw broken(`a revision of more than ${FRAGMENTED_EVENTS_MAX} events`);
    }
    if (events.length === 0) return [];
    const revision = events.at(-1)!.kv.modRevision;
    this.#next = revision + 1;
    return [{ kind: "batch", batch: { header: { ...header, revision }, events } }]; // W3
  }

  /** How many of the events that are here belong to revisions before the last one (W1). */
  #wholeEvents(): number {
    const last = this.#fragments.at(-1)!.kv.modRevision;
    let count = this.#fragments.length;
    while (count > 0 && this.#fragments[count - 1]!.kv.modRevision === last) count--;
    return count;
  }

  #progress(header: StoreHeader): readonly WatchStep[] {
    if (header.revision < this.#next) return [];
    this.#next = header.revision + 1;
    return [{ kind: "batch", batch: { header, events: [] } }];
  }

  #canceled({ compactRevision, cancelReason }: WatchResponse): WatchStep {
    if (compactRevision === 0) return { kind: "canceled", end: endOfCancellation(cancelReason) };
    return { kind: "compacted", error: etcdRefusal("compacted", `${this.#next} < ${compactRevision}`) };
  }
}

/**
 * Whether a member of this version sends progress on request only when all events before it have left. Earlier ones may
 * overtake events, and whoever goes on behind such a notice would lose them.
 */
export function tellsProgress(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  if (major !== 3 || minor > 5) return major >= 3;
  return (minor === 5 && patch >= 8) || (minor === 4 && patch >= 25);
}

function broken(what: string): WireError {
  return new WireError("INTERNAL", `etcd sent ${what}`);
}
