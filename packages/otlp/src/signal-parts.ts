// What a request of a signal holds, and the records that become of it: a table for each signal.
import type { Message, Unopened } from "@millrace/protobuf";
import type { OutlineNames, RequestParts } from "./otlp-outline.ts";
import type { PartOpening, PartPath } from "./part-opening.ts";

export interface SignalParts<I> {
  readonly names: OutlineNames;
  readonly request: Message<RequestParts<I>>;
  /** Opens an item. @throws {WireError} INVALID_ARGUMENT; TOO_LARGE */
  readonly records: (items: Unopened<I>, index: number, place: ItemPlace) => ItemRecords;
}

/** How items are opened, and what all their records have. */
export interface ItemPlace {
  readonly opening: PartOpening;
  readonly path: PartPath;
  /** JSON of resource and scope, as members. */
  readonly origin: string;
}

/** Of one item. */
export interface ItemRecords {
  readonly count: number;
  /** @throws {WireError} INVALID_ARGUMENT; TOO_LARGE */
  readonly json: (index: number) => string;
}
