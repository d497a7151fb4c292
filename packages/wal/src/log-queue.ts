// What waits for the log: full groups and the open one. It decides where each group will stand, so that its owner can
// know the segment of a record before it is written (W2 of write-ahead-log.ts).
import { assert } from "@millrace/base";
import { GROUP_HEADER_BYTES, RECORD_HEADER_BYTES } from "./group-codec.ts";
import { GroupBuffers, OpenGroup, type LogListener } from "./log-group.ts";
import type { LogOptions } from "./log-options.ts";
import { SEGMENT_HEADER_BYTES } from "./segment-codec.ts";

/** A new group below this room in its segment goes to the next one instead. */
const GROUP_ROOM_MIN = 4096;

export class LogQueue {
  readonly #options: LogOptions;
  readonly #buffers: GroupBuffers;
  /** Filled groups, oldest first. */
  readonly #full: OpenGroup[] = [];
  #open: OpenGroup | undefined;
  /** Where the next group that is opened would begin. */
  #segment: number;
  #room: number;
  #scope = 1;
  #bytes = 0;
  #records = 0;

  /** @param segment number of the segment in use @param room bytes left in it */
  constructor(options: LogOptions, segment: number, room: number) {
    this.#options = options;
    this.#buffers = new GroupBuffers(options.groupBytesMax + GROUP_HEADER_BYTES);
    this.#segment = segment;
    this.#room = room;
  }

  /** Bytes of records that were added and did not leave with `done`. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#open === undefined && this.#full.length === 0;
  }

  /** The group to write next. */
  get oldest(): OpenGroup | undefined {
    return this.#full[0] ?? this.#open;
  }

  accepts(bytes: number, records: number): boolean {
    const { queueBytesMax, queueRecordsMax } = this.#options;
    return this.#bytes + bytes <= queueBytesMax && this.#records + records <= queueRecordsMax;
  }

  /** Opens a group with room for `bytes`, unless the open one has it. @returns the scope, see WriteAheadLog */
  reserve(bytes: number): number {
    assert(bytes <= this.#options.groupBytesMax, "records fit a group", { bytes });
    if (this.#open !== undefined && !this.#open.hasRoom(bytes)) this.#full.push(this.#close());
    if (this.#open === undefined) {
      if (this.#room < GROUP_HEADER_BYTES + Math.max(bytes, GROUP_ROOM_MIN)) this.moveTo(this.#segment + 1);
      const capacity = Math.min(this.#room, GROUP_HEADER_BYTES + this.#options.groupBytesMax);
      this.#open = new OpenGroup(this.#buffers.take(), capacity, this.#segment);
    }
    return this.#scope;
  }

  add(parts: readonly Uint8Array[], bytes: number, listener: LogListener | undefined): void {
    this.reserve(bytes);
    this.#open!.add(parts, listener);
    this.#bytes += bytes;
    this.#records++;
  }

  /** Takes the oldest group out; it counts until `done`. */
  take(): OpenGroup {
    return this.#full.shift() ?? this.#close();
  }

  /** The group was written or refused: its buffer is used again. */
  done(group: OpenGroup): void {
    this.#bytes -= group.used - GROUP_HEADER_BYTES;
    this.#records -= group.records;
    this.#buffers.give(group.buffer);
  }

  /** Takes all groups out. */
  takeAll(): OpenGroup[] {
    const groups = this.#full.splice(0);
    if (this.#open !== undefined) groups.push(this.#close());
    return groups;
  }

  /** The next group stands at the begin of segment `number`; a new scope begins. */
  moveTo(number: number): void {
    this.#segment = number;
    this.#room = this.#options.segmentBytes - SEGMENT_HEADER_BYTES;
    this.#scope++;
  }

  #close(): OpenGroup {
    const group = this.#open!;
    this.#open = undefined;
    this.#room -= group.used;
    return group;
  }
}

/** What `parts` take as one record of a group. */
export function recordBytes(parts: readonly Uint8Array[]): number {
  let bytes = RECORD_HEADER_BYTES;
  for (const part of parts) bytes += part.length;
  return bytes;
}
