// One request and its answer on a connection. Answers leave in the order of their requests, whenever they come.
import { isErrorAnswer } from "./http1-answer.ts";
import type { RequestMeter } from "./request-meter.ts";

/** What an exchange needs of its connection. */
export interface ExchangeOwner {
  /** An answer is there; the connection sends what is due. */
  onAnswered(): void;
}

export class Exchange {
  /** Behind this one on the same connection. */
  next: Exchange | undefined;
  /** Bytes of the answer, one char each; undefined while it is awaited. */
  answer: string | undefined;
  /** Header lines that are added to whatever is answered, asked for when it is. */
  extraLines: (() => string) | undefined;
  /** The connection ends behind the answer. */
  isLast: boolean;
  /** Coarse monotonic milliseconds at which the request was whole. */
  readonly sinceMs: number;
  readonly #owner: ExchangeOwner;
  #meter: RequestMeter | undefined;
  #begunMs = 0;
  #bodyBytes = 0;

  constructor(owner: ExchangeOwner, sinceMs: number, isLast: boolean) {
    this.#owner = owner;
    this.sinceMs = sinceMs;
    this.isLast = isLast;
  }

  /** Has the answer noted in `meter`. @param bodyBytes of the request, as they were received */
  measure(meter: RequestMeter, bodyBytes: number): void {
    this.#meter = meter;
    this.#begunMs = meter.begin();
    this.#bodyBytes = bodyBytes;
  }

  /** Sends `answer`; a second one is dropped: it comes when the first was that of a time-out. */
  send(answer: string): void {
    if (this.answer !== undefined) return;
    this.#meter?.end(this.#begunMs, this.#bodyBytes, isErrorAnswer(answer));
    this.answer = this.extraLines === undefined ? answer : withLines(answer, this.extraLines());
    this.#owner.onAnswered();
  }
}

/** The answer with header lines behind its status line. */
function withLines(answer: string, lines: string): string {
  const at = answer.indexOf("\r\n") + 2;
  return answer.slice(0, at) + lines + answer.slice(at);
}
