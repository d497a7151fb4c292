// A connection of the ingest listener: bytes from its socket to the parser, answers back in order, and everything that
// a client may do wrong slowly. It knows no route; a session (the door's part) decides what requests mean.
//
// C1 Answers leave in the order of requests, together when several are due in one turn.
// C2 A connection is not read while it has too many answers outstanding, or its client does not read them.
// C3 After a refusal or a last answer nothing more is read into the parser; what still arrives is dropped for a while,
//    so that the answer is not lost to a reset.
// C4 A connection that begins as HTTP/2 does is somebody else's: nothing of it is given to the parser.
import type { Socket } from "node:net";
import { CONTINUE } from "./http1-answer.ts";
import {
  type BodyBytes,
  type BodyPlan,
  concatBytes,
  type Http1Listener,
  Http1Parser,
  type Refusal,
  type RequestHead,
  utf8,
} from "@millrace/base";
import { Exchange, type ExchangeOwner } from "./http1-exchange.ts";
import { PIPELINE_MAX } from "./limits.ts";
import type { Turns } from "./publisher-turns.ts";

/** What requests of one connection mean. */
export interface Session {
  onHead(head: RequestHead): BodyPlan;
  /** Answers `exchange` now or later. Body and head are valid until this returns. */
  onRequest(head: RequestHead, body: BodyBytes, begin: number, end: number, exchange: Exchange): void;
  /** The answer to a request that is refused, with which the connection ends. */
  refusal(refusal: Refusal | Lateness): string;
}

/** What took too long: the head or body of a request, or its answer. */
export interface Lateness {
  readonly status: 408 | 503;
  readonly name: "requestTimeout" | "outcomeUnknown";
  readonly message: string;
}

export interface ConnectionLimits {
  readonly headBytesMax: number;
  readonly headTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

/** Takes a socket over, of which `alreadyRead` was read. */
export type AcceptSocket = (socket: Socket, alreadyRead: Uint8Array) => void;

/** What connections share. */
export interface ConnectionOwner {
  /** Takes connections that begin with the preface of HTTP/2. */
  readonly onHttp2: AcceptSocket | undefined;
  readonly limits: ConnectionLimits;
  readonly turns: Turns;
  /** Coarse monotonic time. */
  readonly nowMs: number;
  /** No further requests are wanted: a connection ends when it has answered. */
  readonly isStopping: boolean;
  /** What a connection holds of a body that is not whole has changed by `delta` to `bytes`. */
  onReceiving(connection: Http1Connection, bytes: number, delta: number): void;
  onClosed(connection: Http1Connection): void;
}

/** What a client of HTTP/2 sends first. No method of HTTP/1 begins with its first two bytes. */
const NOTHING = new Uint8Array(0);
const HTTP2_PREFACE = utf8("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const UNSENT_BYTES_MAX = 256 * 1024;
const LINGER_MS = 2000;
const TIMED_OUT: Lateness = { status: 408, name: "requestTimeout", message: "Request timeout." };
const UNANSWERED: Lateness = {
  status: 503,
  name: "outcomeUnknown",
  message: "The request took too long, it is not known whether it was processed.",
};
const ENDED_EARLY: Refusal = { status: 400, name: "badRequest", message: "Unexpected end of request." };

export class Http1Connection implements Http1Listener, ExchangeOwner {
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #session: Session;
  readonly #parser: Http1Parser;
  #first: Exchange | undefined;
  #last: Exchange | undefined;
  #outstanding = 0;
  /** While the parser runs, or a flush is due at the end of the turn. */
  #holdsAnswers = false;
  #isEnding = false;
  #isPaused = false;
  #receivingBytes = 0;
  /** What came so far, while that is the beginning of HTTP/2's preface; undefined once it is HTTP/1. */
  #opening: Uint8Array | undefined = NOTHING;
  #wantsContinue = false;
  /** Since when the parser waits for what it waits for. */
  #sinceMs: number;
  #waitsFor: Http1Parser["waitsFor"] = "idle";

  constructor(socket: Socket, owner: ConnectionOwner, session: Session) {
    this.#socket = socket;
    this.#owner = owner;
    this.#session = session;
    this.#parser = new Http1Parser(this, owner.limits.headBytesMax);
    this.#sinceMs = owner.nowMs;
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("drain", this.#onDrain);
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
  }

  /** Called every now and then. */
  checkTime(): void {
    const { nowMs, limits } = this.#owner;
    if (this.#isEnding) {
      if (nowMs - this.#sinceMs >= LINGER_MS) this.#socket.destroy();
      return;
    }
    const first = this.#first;
    if (first !== undefined) {
      if (nowMs - first.sinceMs >= limits.requestTimeoutMs) this.#giveUp(first);
      return;
    }
    const waitedMs = nowMs - this.#sinceMs;
    if (this.#waitsFor === "idle") {
      if (waitedMs >= limits.idleTimeoutMs) this.#end();
    } else if (waitedMs >= (this.#waitsFor === "head" ? limits.headTimeoutMs : limits.requestTimeoutMs)) {
      this.#refuse(TIMED_OUT);
    }
  }

  /** Ends the connection when nothing is under way on it, otherwise behind the last answer. */
  stop(): void {
    if (this.#last !== undefined) this.#last.isLast = true;
    else if (this.#waitsFor === "idle") this.#end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** The owner holds too many bytes (`true`) or has room again. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.#adjustReading();
  }
  #isHeld = false;

  onHead(head: RequestHead): BodyPlan {
    if (this.#owner.isStopping) head.keepAlive = false;
    return this.#session.onHead(head);
  }

  onContinue(): void {
    // An interim answer may not overtake the answers before it.
    if (this.#outstanding > 0) this.#wantsContinue = true;
    else this.#socket.write(CONTINUE, "latin1");
  }

  onRequest(head: RequestHead, body: BodyBytes, begin: number, end: number): void {
    this.#wantsContinue = false;
    this.#session.onRequest(head, body, begin, end, this.#exchange(!head.keepAlive));
  }

  onRefused(refusal: Refusal): void {
    this.#refuse(refusal);
  }

  onAnswered(): void {
    if (this.#holdsAnswers) return;
    if (this.#outstanding === 1) this.#flush();
    else {
      this.#holdsAnswers = true; // C1
      this.#owner.turns.atEnd(() => {
        this.#holdsAnswers = false;
        this.#flush();
      });
    }
  }

  #exchange(isLast: boolean): Exchange {
    const exchange = new Exchange(this, this.#owner.nowMs, isLast);
    if (this.#last === undefined) this.#first = exchange;
    else this.#last.next = exchange;
    this.#last = exchange;
    this.#outstanding++;
    return exchange;
  }

  readonly #onData = (received: Uint8Array): void => {
    if (this.#isEnding) return; // C3
    const chunk = this.#opening === undefined ? received : this.#opened(this.#opening, received);
    if (chunk === undefined) return;
    const wasHolding = this.#holdsAnswers;
    this.#holdsAnswers = true;
    this.#parser.push(chunk);
    this.#holdsAnswers = wasHolding;
    this.#noteState();
    if (!wasHolding) this.#flush();
    if (this.#outstanding >= PIPELINE_MAX) this.#adjustReading();
  };

  /** @returns what is for the parser; undefined while, or when, the connection begins as HTTP/2 does (C4) */
  #opened(before: Uint8Array, received: Uint8Array): Uint8Array | undefined {
    const { onHttp2 } = this.#owner;
    const opening = before.length === 0 ? received : concatBytes([before, received]);
    const length = Math.min(opening.length, HTTP2_PREFACE.length);
    let same = 0;
    while (same < length && opening[same] === HTTP2_PREFACE[same]) same++;
    if (onHttp2 === undefined || same < length) {
      this.#opening = undefined;
      return opening;
    }
    this.#opening = opening;
    if (length === HTTP2_PREFACE.length) this.#handOver(onHttp2, opening);
    return undefined;
  }

  #handOver(accept: AcceptSocket, opening: Uint8Array): void {
    const socket = this.#socket;
    socket.off("data", this.#onData);
    socket.off("end", this.#onEnd);
    socket.off("drain", this.#onDrain);
    socket.off("error", this.#onError);
    socket.off("close", this.#onClose);
    this.#isEnding = true;
    this.#owner.onClosed(this);
    accept(socket, opening);
  }

  #noteState(): void {
    const { waitsFor, receivingBytes } = this.#parser;
    // Time counts from the first byte of what is awaited; a drop now and then does not renew it.
    if (waitsFor === "idle" || waitsFor !== this.#waitsFor) this.#sinceMs = this.#owner.nowMs;
    this.#waitsFor = waitsFor;
    const delta = receivingBytes - this.#receivingBytes;
    if (delta === 0) return;
    this.#receivingBytes = receivingBytes;
    this.#owner.onReceiving(this, receivingBytes, delta);
  }

  #flush(): void {
    let first = this.#first;
    if (first?.answer === undefined || this.#isEnding) return;
    let bytes = "";
    let isLast = false;
    while (first?.answer !== undefined && !isLast) {
      bytes = bytes === "" ? first.answer : bytes + first.answer;
      isLast = first.isLast;
      this.#outstanding--;
      first = first.next;
    }
    this.#first = first;
    if (first === undefined) this.#last = undefined;
    this.#sinceMs = this.#owner.nowMs;
    if (this.#wantsContinue && this.#outstanding === 0 && !isLast) {
      this.#wantsContinue = false;
      bytes += CONTINUE;
    }
    this.#socket.write(bytes, "latin1");
    if (isLast) this.#end();
    else if (this.#isPaused || this.#socket.writableLength > 0) this.#adjustReading();
  }

  /** C2 */
  #adjustReading(): void {
    const mustPause =
      this.#isHeld || this.#outstanding >= PIPELINE_MAX || this.#socket.writableLength > UNSENT_BYTES_MAX;
    if (mustPause === this.#isPaused || this.#isEnding) return;
    this.#isPaused = mustPause;
    if (mustPause) this.#socket.pause();
    else this.#socket.resume();
  }

  #refuse(refusal: Refusal | Lateness): void {
    this.#parser.stop();
    this.#waitsFor = "nothing";
    this.#exchange(true).send(this.#session.refusal(refusal));
  }

  /** Its answer does not come: those behind it are not waited for either. */
  #giveUp(exchange: Exchange): void {
    this.#parser.stop();
    exchange.isLast = true;
    exchange.send(this.#session.refusal(UNANSWERED));
  }

  readonly #onDrain = (): void => this.#adjustReading();

  readonly #onError = (): void => {
    this.#socket.destroy();
  };

  readonly #onEnd = (): void => {
    if (this.#isEnding) return;
    const { waitsFor } = this.#parser;
    if (waitsFor === "head" || waitsFor === "body") this.#refuse(ENDED_EARLY);
    else if (this.#last !== undefined) this.#last.isLast = true;
    else this.#end();
  };

  #end(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#parser.stop();
    this.#sinceMs = this.#owner.nowMs;
    this.#socket.end();
    if (this.#isPaused) this.#socket.resume(); // C3
  }

  readonly #onClose = (): void => {
    this.#isEnding = true;
    this.#parser.stop();
    if (this.#receivingBytes > 0) this.#owner.onReceiving(this, 0, -this.#receivingBytes);
    this.#receivingBytes = 0;
    this.#owner.onClosed(this);
  };
}
