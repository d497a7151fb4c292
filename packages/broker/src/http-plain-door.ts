// Plain PUTs without node:http (http-plain-put.ts), in front of it on the same port. A connection is read here while
// its requests are plain and whole; with the first that is not, it goes to node:http for good, with every byte of that
// request, so that all that is unusual, slow or hostile is judged in one place.
//
//  H1  A connection is handed over only between answers, and bytes that were not answered go with it unchanged.
//  H2  Answers leave in the order of requests, and are those of node:http to the byte, but for the request's id.
//  H3  What is held of a connection is bounded: a body that is not whole after a tick or two is handed over, and one
//      with many answers outstanding, or whose client does not read them, is not read.
//  H4  Nothing is begun that might be refused before it is appended: such a request is handed over first.
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { type Clock, HeadParser, type HostPolicy, never, refuseHost, type RequestIds } from "@millrace/base";
import { stripMeta, type AppendResponse } from "@millrace/protocol";
import type { AppendCaller, Lifetime } from "./append-ports.ts";
import { AppendFeed } from "./append-feed.ts";
import type { Need, Principal, RefuseAppend } from "./authoriser.ts";
import type { PrincipalJournals } from "./principal-journals.ts";
import { errorAnswer, type TextAnswer } from "./http-answers.ts";
import { appendAnswer } from "./http-append.ts";
import { PLAIN_HEAD_BYTES_MAX, readPlainPut, type PlainPut } from "./http-plain-put.ts";

/** What the door needs of the broker; as the gateway's options of the same names. */
export interface PlainPutPorts {
  /** @throws {WireError} UNAUTHENTICATED, FORBIDDEN */
  readonly authorise: (authorization: string | undefined, need: Need) => Principal;
  /** Undefined while the broker starts. */
  readonly journals: (principal: Principal) => PrincipalJournals | undefined;
  readonly refuseAppend: RefuseAppend;
}

export interface PlainPutOptions extends PlainPutPorts {
  readonly clock: Clock;
  readonly policy: HostPolicy;
  readonly ids: RequestIds;
  /** Silence between requests after which a connection ends; node:http says so in its answers. */
  readonly idleMs: number;
  /** Takes a socket as node:http's server takes one that was just accepted: `emit("connection", socket)`. */
  readonly handOver: (socket: Socket) => void;
}

const TICK_MS = 1000;
/** Answers that a connection may have outstanding, and bytes of their requests, before it is not read. */
const PIPELINE_MAX = 128;
const PIPELINE_BYTES_MAX = 1024 * 1024;
/** Bytes of answers that a client has not read. */
const UNSENT_BYTES_MAX = 256 * 1024;

const INTENT = new Uint8Array(0);
const NOTHING = Buffer.alloc(0);
const LIFETIME: Lifetime = { signal: never };
const NO_ROOM_NEEDED = (): void => undefined;

export class PlainPutDoor {
  readonly options: PlainPutOptions;
  readonly parser = new HeadParser(PLAIN_HEAD_BYTES_MAX);
  /** Coarse monotonic time. */
  nowMs: number;
  isStopping = false;
  readonly #connections = new Set<Connection>();
  #cancelTick: (() => void) | undefined;
  readonly #keepAlive: string;
  #dateSecond = 0;
  #date = "";

  constructor(options: PlainPutOptions) {
    this.options = options;
    this.nowMs = options.clock.monotonicMs();
    this.#keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(options.idleMs / 1000)}\r\n\r\n`;
  }

  /** @param socket nothing of it was read, or all of that was put back */
  accept(socket: Socket): void {
    const connection = new Connection(socket, this, () => this.#forget(connection));
    this.#connections.add(connection);
    this.#cancelTick ??= this.options.clock.after(TICK_MS, () => this.#tick());
  }

  /** Connections end once their answers have; those that have not when `signal` aborts are cut. */
  stop(signal: AbortSignal): void {
    this.isStopping = true;
    const cut = (): void => {
      for (const connection of this.#connections) connection.destroy();
    };
    for (const connection of this.#connections) connection.stop();
    if (signal.aborted) cut();
    else signal.addEventListener("abort", cut, { once: true });
  }

  /** @param isLast whether the connection ends behind it */
  encode(id: string, { status, headers, body }: TextAnswer, isLast: boolean): string {
    let text = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nX-Request-Id: ${id}\r\n`;
    for (const [name, value] of headers) text += `${name}: ${value}\r\n`;
    return `${text}${this.#dateLine()}${isLast ? "Connection: close\r\n\r\n" : this.#keepAlive}${body}`;
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection);
    if (this.isStopping && this.#connections.size === 0) this.#cancelTick?.();
  }

  #dateLine(): string {
    const second = Math.floor(this.options.clock.wallMs() / 1000);
    if (second !== this.#dateSecond) {
      this.#dateSecond = second;
      this.#date = `Date: ${new Date(second * 1000).toUTCString()}\r\n`;
    }
    return this.#date;
  }

  #tick(): void {
    this.nowMs = this.options.clock.monotonicMs();
    for (const connection of this.#connections) connection.checkTime();
    this.#cancelTick =
      this.#connections.size === 0 ? undefined : this.options.clock.after(TICK_MS, () => this.#tick());
  }
}

/** A PUT that was begun, and its answer. */
class BegunPut implements AppendCaller {
  /** Behind this one on the same connection. */
  next: BegunPut | undefined;
  /** Undefined while it is awaited. */
  answer: TextAnswer | undefined;
  readonly id: string;
  readonly put: PlainPut;
  readonly #connection: Connection;

  constructor(connection: Connection, put: PlainPut, id: string) {
    this.#connection = connection;
    this.put = put;
    this.id = id;
  }

  answered(response: AppendResponse): void {
    this.#end(appendAnswer(response, this.put.url));
  }

  failed(error: unknown): void {
    this.#end(errorAnswer(error));
  }

  #end(answer: TextAnswer): void {
    if (this.answer !== undefined) return;
    this.answer = answer;
    this.#connection.onAnswered();
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #door: PlainPutDoor;
  readonly #forget: () => void;
  /** The last plain request: most that follow begin with the same bytes. */
  #known: PlainPut | undefined;
  /** What has come of a request whose body is not whole, and how much is missing. */
  #parts: Buffer[] = [];
  #missing = 0;
  #first: BegunPut | undefined;
  #last: BegunPut | undefined;
  #outstanding = 0;
  #outstandingBytes = 0;
  /** For node:http, once everything before it is answered. */
  #other: Buffer | undefined;
  #isReading = false;
  #isFlushDue = false;
  #isPaused = false;
  /** The client has said all. */
  #hasEnded = false;
  /** Nothing is read here any more. */
  #isEnding = false;
  /** Of the last answer, or of the beginning of what is not whole. */
  #sinceMs: number;

  constructor(socket: Socket, door: PlainPutDoor, forget: () => void) {
    this.#socket = socket;
    this.#door = door;
    this.#forget = forget;
    this.#sinceMs = door.nowMs;
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("drain", this.#onDrain);
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
  }

  /** Called every tick. */
  checkTime(): void {
    if (this.#outstanding > 0 || this.#isEnding) return;
    const waitedMs = this.#door.nowMs - this.#sinceMs;
    if (this.#parts.length > 0) {
      if (waitedMs >= TICK_MS) this.#handOver(Buffer.concat(this.#takeParts())); // H3
    } else if (waitedMs >= this.#door.options.idleMs) {
      this.#socket.destroy();
    }
  }

  /** Ends it when nothing is under way, otherwise behind the last answer. */
  stop(): void {
    if (this.#parts.length > 0) this.#other = Buffer.concat(this.#takeParts());
    if (this.#outstanding === 0) this.#onAllAnswered();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  onAnswered(): void {
    if (this.#isReading || this.#isFlushDue) return;
    if (this.#outstanding === 1) {
      this.#flush();
      return;
    }
    // Others are answered in the same turn, most likely.
    this.#isFlushDue = true;
    queueMicrotask(() => {
      this.#isFlushDue = false;
      this.#flush();
    });
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isEnding) return;
    if (this.#other !== undefined) {
      this.#other = Buffer.concat([this.#other, chunk]);
      return;
    }
    this.#isReading = true;
    const rest = this.#parts.length === 0 ? chunk : this.#onMore(chunk);
    if (rest.length > 0) this.#read(rest);
    this.#isReading = false;
    this.#flush();
    this.#adjust();
  };

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    if (this.#outstanding === 0 && !this.#isEnding) this.#onAllAnswered();
  };

  readonly #onDrain = (): void => this.#adjust();

  readonly #onError = (): void => void this.#socket.destroy();

  readonly #onClose = (): void => {
    this.#isEnding = true;
    this.#parts = [];
    this.#other = undefined;
    this.#forget();
  };

  /** More of a request whose body is not whole. @returns what is behind it */
  #onMore(chunk: Buffer): Buffer {
    const missing = this.#missing;
    if (chunk.length < missing) {
      this.#missing -= chunk.length;
      this.#parts.push(chunk);
      return NOTHING;
    }
    const put = this.#known!;
    const parts = this.#takeParts();
    const body = [parts[0]!.subarray(put.head.length), ...parts.slice(1), chunk.subarray(0, missing)];
    if (this.#begin(put, body)) return chunk.subarray(missing);
    this.#other = Buffer.concat([...parts, chunk]);
    return NOTHING;
  }

  /** @param bytes begin with a request */
  #read(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      const put = this.#putAt(bytes, at);
      const body = at + (put?.head.length ?? 0);
      const end = body + (put?.bodyBytes ?? 0);
      if (put !== undefined && end > bytes.length) {
        this.#parts = [bytes.subarray(at)];
        this.#missing = end - bytes.length;
        this.#sinceMs = this.#door.nowMs;
        return;
      }
      if (put === undefined || !this.#begin(put, [bytes.subarray(body, end)])) {
        this.#other = bytes.subarray(at);
        return;
      }
      at = end;
    }
  }

  /** The plain request at `at`; undefined when it is none, or its head not whole. */
  #putAt(bytes: Buffer, at: number): PlainPut | undefined {
    const { parser, options } = this.#door;
    const known = this.#known;
    if (known !== undefined && beginsWith(bytes, at, known.head)) return known;
    const put = readPlainPut(parser, bytes, at);
    if (put === undefined || refuseHost(put.host, undefined, options.policy) !== undefined) return undefined;
    this.#known = put;
    return put;
  }

  /** @returns whether it was begun; if not, nothing has happened (H4) */
  #begin(put: PlainPut, body: readonly Uint8Array[]): boolean {
    const { options, isStopping } = this.#door;
    if (isStopping) return false;
    let principal: Principal;
    let journals: PrincipalJournals | undefined;
    try {
      principal = options.authorise(put.authorization, "APPEND");
      journals = options.journals(principal);
    } catch {
      return false;
    }
    if (journals === undefined) return false;
    const journal = stripMeta(put.append.journal);
    if (options.refuseAppend(journal, principal, "content") !== undefined) return false;
    const begun = new BegunPut(this, put, options.ids.next());
    if (this.#last === undefined) this.#first = begun;
    else this.#last.next = begun;
    this.#last = begun;
    this.#outstanding++;
    this.#outstandingBytes += put.bodyBytes;
    if (principal.expiresAtMs === Number.POSITIVE_INFINITY) startAppend(journals, begun, body);
    else appendUntilExpired(journals, begun, body);
    return true;
  }

  #flush(): void {
    let next = this.#first;
    if (next?.answer === undefined) {
      if (next === undefined) this.#onAllAnswered();
      return;
    }
    let text = "";
    while (next?.answer !== undefined) {
      this.#outstanding--;
      this.#outstandingBytes -= next.put.bodyBytes;
      text += this.#door.encode(next.id, next.answer, this.#isLast);
      next = next.next;
    }
    this.#first = next;
    if (!this.#socket.destroyed) this.#socket.write(text, "latin1");
    if (this.#isPaused || this.#socket.writableLength > 0) this.#adjust();
    if (next !== undefined) return;
    this.#last = undefined;
    this.#sinceMs = this.#door.nowMs;
    this.#onAllAnswered();
  }

  /** The answer that is due ends the connection. */
  get #isLast(): boolean {
    const { isStopping } = this.#door;
    return isStopping && this.#outstanding === 0 && this.#other === undefined && this.#parts.length === 0;
  }

  #onAllAnswered(): void {
    if (this.#isEnding) return;
    if (this.#other !== undefined) {
      this.#handOver(this.#other);
    } else if (this.#parts.length > 0) {
      if (this.#hasEnded) this.#handOver(Buffer.concat(this.#takeParts()));
    } else if (this.#hasEnded || this.#door.isStopping) {
      this.#isEnding = true;
      this.#socket.end(() => this.#socket.destroy());
    }
  }

  #takeParts(): Buffer[] {
    const parts = this.#parts;
    this.#parts = [];
    this.#missing = 0;
    return parts;
  }

  /** H3 */
  #adjust(): void {
    if (this.#isEnding) return;
    const mustPause =
      this.#other !== undefined ||
      this.#outstanding >= PIPELINE_MAX ||
      this.#outstandingBytes >= PIPELINE_BYTES_MAX ||
      this.#socket.writableLength > UNSENT_BYTES_MAX;
    if (mustPause === this.#isPaused) return;
    this.#isPaused = mustPause;
    if (mustPause) this.#socket.pause();
    else this.#socket.resume();
  }

  /** H1. What was read goes as an event: put back into the stream it could be overtaken by what comes next. */
  #handOver(bytes: Buffer): void {
    const socket = this.#socket;
    this.#isEnding = true;
    this.#other = undefined;
    this.#forget();
    socket.removeListener("data", this.#onData);
    socket.removeListener("end", this.#onEnd);
    socket.removeListener("drain", this.#onDrain);
    socket.removeListener("error", this.#onError);
    socket.removeListener("close", this.#onClose);
    if (socket.destroyed) return;
    this.#door.options.handOver(socket);
    socket.emit("data", bytes);
    if (this.#hasEnded) socket.emit("end");
    else if (this.#isPaused) socket.resume();
  }
}

function beginsWith(bytes: Buffer, at: number, beginning: Uint8Array): boolean {
  const end = at + beginning.length;
  return end <= bytes.length && bytes.compare(beginning, 0, beginning.length, at, end) === 0;
}

function startAppend({ appends }: PrincipalJournals, begun: BegunPut, body: readonly Uint8Array[]): void {
  const feed = new AppendFeed(NO_ROOM_NEEDED);
  for (const part of body) if (part.length > 0) feed.push(part);
  feed.push(INTENT);
  feed.push("end-of-stream");
  try {
    appends.startAppend(begun.put.append, feed, LIFETIME, begun);
  } catch (error) {
    begun.failed(error);
  }
}

/** The transport sees to the end of what a token began. */
function appendUntilExpired(
  { transport }: PrincipalJournals,
  begun: BegunPut,
  bytes: readonly Uint8Array[],
): void {
  transport.append(begun.put.append, { kind: "bytes", bytes }, never).then(
    (answer) => begun.answered(answer),
    (error: unknown) => begun.failed(error),
  );
}
