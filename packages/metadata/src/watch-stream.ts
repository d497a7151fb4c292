// One Watch stream of an etcd client: many watches, each a cursor over the store's history, and what to send next.
// Pure: no clock, no await; who drives it sends what next() gives as long as the peer takes it.
//
// W1 Nothing is buffered for a watch but one revision's fragments: a slow client costs nothing, and learns that it is
//    too slow when the history that it needs has been compacted.
// W2 A watch's answers are: created, then events of whole revisions in order (split only into marked fragments, which
//    follow each other), then at most one cancellation. A progress answer comes only when all before it was sent.
import type { StoreEvent } from "./coordination.ts";
import { refusalText } from "./etcd-refusals.ts";
import type { HistoryView } from "./history-view.ts";
import { EVERYTHING, inRange } from "./key.ts";
import {
  RESPONSE_BYTES_MAX,
  STREAM_ANSWERS_MAX,
  STREAM_WATCHES_MAX,
  WATCH_BATCH_BYTES_MAX,
  WATCH_BATCH_EVENTS_MAX,
  WATCH_FRAGMENT_BYTES,
} from "./limits.ts";
import { headerOf, wireKeyValue } from "./etcd-server-kv.ts";
import type { Event, WatchCreateRequest, WatchRequest, WatchResponse } from "./etcd-api/watch.ts";

/** A watch that asked for progress is told how far the store is at least so often. */
export const PROGRESS_MS = 20_000;
/** And whenever it is so many revisions behind what it was last told: they may be compacted soon. */
const PROGRESS_REVISIONS = 1000;
/** The id of answers that are about no watch, or about all. */
const NO_WATCH = -1;
/** What an event takes beside its bytes. */
const EVENT_OVERHEAD_BYTES = 64;

interface Watch {
  readonly id: number;
  readonly keys: { readonly key: string; readonly end?: string };
  readonly request: WatchCreateRequest;
  /** The next revision to look at. */
  next: number;
  /** The revision that the client knows of. */
  told: number;
  toldMs: number;
}

export class WatchStream {
  readonly #history: HistoryView;
  readonly #permit: () => string | undefined;
  readonly #watches = new Map<number, Watch>();
  /** Those that have something to look at, in turn. */
  #turn: Watch[] = [];
  #answers: WatchResponse[] = [];
  #fragments: WatchResponse[] = [];
  #nextId = 0;
  #isProgressWanted = false;

  /** @param permit says why the client may not watch, asked at each creation */
  constructor(history: HistoryView, permit: () => string | undefined) {
    this.#history = history;
    this.#permit = permit;
  }

  get watches(): number {
    return this.#watches.size;
  }

  /** Whether further requests are to wait until answers were taken. */
  get isFull(): boolean {
    return this.#answers.length >= STREAM_ANSWERS_MAX;
  }

  request({ createRequest, cancelRequest, progressRequest }: WatchRequest, nowMs: number): void {
    if (createRequest !== undefined) this.#create(createRequest, nowMs);
    else if (cancelRequest !== undefined) this.#cancel(cancelRequest.watchId);
    else if (progressRequest !== undefined) this.#isProgressWanted = this.#watches.size > 0;
  }

  /** What to send now; undefined when there is nothing until the store goes on or `dueMs` is reached. */
  next(nowMs: number): WatchResponse | undefined {
    return this.#fragments.shift() ?? this.#answers.shift() ?? this.#events(nowMs) ?? this.#progress(nowMs);
  }

  /** When a progress answer is due if nothing happens before; undefined: never. */
  get dueMs(): number | undefined {
    let due: number | undefined;
    for (const { request, toldMs } of this.#watches.values()) {
      if (request.progressNotify) due = Math.min(due ?? Infinity, toldMs + PROGRESS_MS);
    }
    return due;
  }

  #create(request: WatchCreateRequest, nowMs: number): void {
    const key = request.key === "" ? EVERYTHING : request.key;
    const keys = request.rangeEnd === "" ? { key } : { key, end: request.rangeEnd };
    const refusal = this.#refusal(request, keys);
    if (refusal !== undefined) {
      this.#answer({ watchId: NO_WATCH, created: true, canceled: true, cancelReason: refusal });
      return;
    }
    while (this.#watches.has(this.#nextId)) this.#nextId++;
    const id = request.watchId === 0 ? this.#nextId++ : request.watchId;
    const { revision } = this.#history;
    const next = request.startRevision === 0 ? revision + 1 : request.startRevision;
    const watch = { id, keys, request, next, told: Math.min(next - 1, revision), toldMs: nowMs };
    this.#watches.set(id, watch);
    this.#answer({ watchId: id, created: true });
  }

  #refusal(request: WatchCreateRequest, keys: Watch["keys"]): string | undefined {
    if (request.startRevision < 0) return refusalText("compacted");
    if (request.watchId < 0) return `watch ID ${request.watchId} is not >= 0`;
    const denied = this.#permit();
    if (denied !== undefined) return denied;
    if (keys.end !== undefined && keys.end !== EVERYTHING && keys.key >= keys.end) {
      return "mvcc: watcher range is empty";
    }
    if (request.watchId !== 0 && this.#watches.has(request.watchId)) {
      return "mvcc: duplicate watch ID provided on the WatchStream";
    }
    if (this.#watches.size < STREAM_WATCHES_MAX) return undefined;
    return `${refusalText("tooManyRequests")} (at most ${STREAM_WATCHES_MAX} watches a stream)`;
  }

  #cancel(id: number): void {
    if (this.#watches.delete(id)) this.#answer({ watchId: id, canceled: true });
  }

  #answer(fields: Partial<WatchResponse>): void {
    this.#answers.push(this.#response(this.#history.revision, fields));
  }

  #response(revision: number, fields: Partial<WatchResponse>): WatchResponse {
    return {
      header: headerOf(this.#history.header(revision)),
      watchId: 0,
      created: false,
      canceled: false,
      compactRevision: 0,
      cancelReason: "",
      fragment: false,
      events: [],
      ...fields,
    };
  }

  /** The next answer with events, or that a watch is over, of whoever's turn it is. */
  #events(nowMs: number): WatchResponse | undefined {
    const { revision, compactRevision } = this.#history;
    for (;;) {
      if (this.#turn.length === 0) {
        // Popped from its end.
        this.#turn = [...this.#watches.values()].filter(({ next }) => next <= revision).reverse();
      }
      const watch = this.#turn.pop();
      if (watch === undefined) return undefined;
      if (this.#watches.get(watch.id) !== watch) continue; // cancelled meanwhile
      if (watch.next < compactRevision) return this.#end(watch, refusalText("compacted"), compactRevision);
      const { events, bytes } = this.#collect(watch, revision);
      if (events.length > 0) return this.#send(watch, events, bytes, nowMs);
    }
  }

  /** Events of `watch` from its next revision on until a message is full, and moves it on. */
  #collect(watch: Watch, revision: number): { readonly events: Event[]; readonly bytes: number } {
    const events: Event[] = [];
    let bytes = 0;
    while (watch.next <= revision) {
      for (const event of this.#history.eventsAt(watch.next)) {
        if (!inRange(event.kv.key, watch.keys) || isFiltered(event, watch.request)) continue;
        const wire = this.#wireEvent(event, watch.request.prevKv);
        events.push(wire);
        bytes += bytesOf(wire);
      }
      watch.next++;
      if (events.length >= WATCH_BATCH_EVENTS_MAX || bytes >= WATCH_BATCH_BYTES_MAX) break;
    }
    return { events, bytes };
  }

  #wireEvent(event: StoreEvent, withPrevious: boolean): Event {
    const type = event.kind === "put" ? "PUT" : "DELETE";
    const kv = wireKeyValue(event.kv);
    const previous = withPrevious ? this.#history.before(event) : undefined;
    return previous === undefined ? { type, kv } : { type, kv, prevKv: wireKeyValue(previous) };
  }

  #send(watch: Watch, events: readonly Event[], bytes: number, nowMs: number): WatchResponse {
    const told = watch.next - 1;
    const answer = this.#response(told, { watchId: watch.id });
    watch.told = told;
    watch.toldMs = nowMs;
    if (bytes <= WATCH_FRAGMENT_BYTES) return { ...answer, events };
    if (!watch.request.fragment) {
      if (bytes <= RESPONSE_BYTES_MAX) return { ...answer, events };
      return this.#end(
        watch,
        `${refusalText("tooLarge")}: ${bytes} bytes of one revision, watch with fragments`,
      );
    }
    const parts = fragmentsOf(events);
    this.#fragments = parts.map((part, at) => {
      return { ...answer, events: part, fragment: at < parts.length - 1 };
    });
    return this.#fragments.shift()!;
  }

  #end(watch: Watch, cancelReason: string, compactRevision = 0): WatchResponse {
    this.#watches.delete(watch.id);
    const fields = { watchId: watch.id, canceled: true, cancelReason, compactRevision };
    return this.#response(this.#history.revision, fields);
  }

  /** All watches have seen everything: whoever asked how far that is hears it. */
  #progress(nowMs: number): WatchResponse | undefined {
    const { revision } = this.#history;
    if (this.#isProgressWanted && this.#watches.size > 0) {
      this.#isProgressWanted = false;
      for (const watch of this.#watches.values()) {
        watch.told = revision;
        watch.toldMs = nowMs;
      }
      return this.#response(revision, { watchId: NO_WATCH });
    }
    for (const watch of this.#watches.values()) {
      if (!watch.request.progressNotify) continue;
      if (revision - watch.told < PROGRESS_REVISIONS && nowMs < watch.toldMs + PROGRESS_MS) continue;
      watch.told = revision;
      watch.toldMs = nowMs;
      return this.#response(revision, { watchId: watch.id });
    }
    return undefined;
  }
}

function isFiltered({ kind }: StoreEvent, { filters }: WatchCreateRequest): boolean {
  return filters.includes(kind === "put" ? "NOPUT" : "NODELETE");
}

function bytesOf({ kv, prevKv }: Event): number {
  let bytes = EVENT_OVERHEAD_BYTES;
  if (kv !== undefined) bytes += kv.key.length + kv.value.length;
  if (prevKv !== undefined) bytes += prevKv.key.length + prevKv.value.length;
  return bytes;
}

/** Each as large as a fragment may be, or one event. */
function fragmentsOf(events: readonly Event[]): readonly (readonly Event[])[] {
  const parts: Event[][] = [];
  let bytes = Infinity;
  for (const event of events) {
    const more = bytesOf(event);
    if (bytes + more > WATCH_FRAGMENT_BYTES) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)!.push(event);
    bytes += more;
  }
  return parts;
}
