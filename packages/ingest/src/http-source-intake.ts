// From the received bytes of a body to records in frames.
//
//   body ──decompress──> charset ──> NDJSON: line by line ──────────────> batch
//                            ├─────> JSON: an array's elements ─────────> batch
//                            └─────> JSON value, form, anything else ───> single record
//
// Everything is synchronous unless a large body has to be decompressed, or holds so many records that others must have
// their turns in between: head and body are looked at where they were received, and copied only to survive that wait.
import { BodyBytes, type Clock, headerValue, type RequestHead, sizeText, WireError } from "@millrace/base";
import type { ProgramEvaluator } from "@millrace/jsonata";
import type { Encoding } from "./body-decompress.ts";
import type { BodyOpening, OpenOutcome } from "./body-opening.ts";
import type { Exchange } from "./http1-exchange.ts";
import { keyHash } from "./idempotency-key.ts";
import { appendError, type Answers, type DoorError } from "./http-source-answers.ts";
import { answerBatch } from "./http-source-batch-answer.ts";
import { Batch } from "./http-source-batch.ts";
import { decodeCharset, type Content } from "./http-source-content.ts";
import { isArrayBody, lookInto } from "./http-source-look.ts";
import type { DoorRecord } from "./http-source-record.ts";
import type { SourceRoute } from "./http-source-routes.ts";
import { mappingError, writeSingle } from "./http-source-single.ts";
import type { BodySteps, SteppedBody } from "./http-source-steps.ts";
import {
  ArrayWalk,
  LineWalk,
  type ArrayProblem,
  type BodyWalk,
  type RecordTaker,
  type WalkedBody,
} from "./http-source-walk.ts";
import type { DoorLimits } from "./limits.ts";
import { TemplateBudget } from "./mapping-budget.ts";
import { undecodable } from "./mapping-record.ts";
import { evaluateRecord, RecordsAhead } from "./records-ahead.ts";
import { signatureProblem } from "./webhook-signature.ts";
import { Piece } from "./work-turns.ts";

/** What a request holds besides its body while it waits, about. */
const HEAD_BYTES = 2048;

/** A request whose body is to become records. */
export interface Received {
  readonly route: SourceRoute;
  readonly head: RequestHead;
  readonly content: Content;
  readonly clientIp: Uint8Array;
  readonly exchange: Exchange;
}

export interface IntakePorts {
  readonly answers: Answers;
  readonly record: DoorRecord;
  readonly limits: DoorLimits;
  readonly clock: Clock;
  readonly steps: BodySteps;
  readonly opening: BodyOpening;
  readonly evaluator: ProgramEvaluator;
  /** A failure that is a bug. */
  readonly onFatal: (error: unknown) => void;
}

export class Intake {
  readonly #ports: IntakePorts;

  constructor(ports: IntakePorts) {
    this.#ports = ports;
  }

  /** Bound of a body of this kind. */
  bodyBytesMax(content: Content): number {
    const { batchBytesMax, recordBytesMax } = this.#ports.limits;
    return content.kind === "json" || content.kind === "ndjson" ? batchBytesMax : recordBytesMax;
  }

  /** Answers `received` now or later. */
  take(received: Received, encoding: Encoding, body: BodyBytes, begin: number, end: number): void {
    const acceptedAtMs = this.#ports.clock.wallMs();
    const { limiter, source } = received.route;
    if (limiter !== undefined) {
      received.exchange.extraLines = () => limiter.headerLines();
      const refusal = limiter.refusal();
      if (refusal !== undefined) {
        this.#refuse(received, refusal);
        return;
      }
    }
    const { signature } = source;
    if (signature !== undefined) {
      const header = (name: string): string | undefined => headerValue(received.head, name);
      const request = { header, body: body.bytes.subarray(begin, end) };
      const message = signatureProblem(signature, request, acceptedAtMs);
      if (message !== undefined) {
        this.#refuse(received, { status: 401, name: "invalidSignature", message });
        return;
      }
    }
    if (encoding === "identity") this.#decode(received, acceptedAtMs, body, begin, end);
    else this.#decompress(received, acceptedAtMs, encoding, body.bytes.subarray(begin, end));
  }

  #decompress(
    received: Received,
    acceptedAtMs: number,
    encoding: Exclude<Encoding, "identity">,
    bytes: Uint8Array,
  ): void {
    const { limits, opening, onFatal } = this.#ports;
    const bounds = {
      bytesMax: this.bodyBytesMax(received.content),
      ratioMax: limits.compressionRatioMax,
      bytesFree: limits.recordBytesMax,
    };
    const { exchange } = received;
    const isOver = (): boolean => exchange.answer !== undefined;
    const outcome = opening.open({ encoding, bytes, bounds, isOver });
    if (!(outcome instanceof Promise)) {
      this.#onDecompressed(received, acceptedAtMs, outcome);
      return;
    }
    const kept = { ...received, head: received.head.copy() };
    outcome.then((done) => this.#onDecompressed(kept, acceptedAtMs, done)).catch(onFatal);
  }

  #onDecompressed(received: Received, acceptedAtMs: number, outcome: OpenOutcome): void {
    switch (outcome.kind) {
      case "bytes":
        return this.#decode(received, acceptedAtMs, new BodyBytes(outcome.bytes), 0, outcome.bytes.length);
      case "tooLarge":
        return this.#refuse(received, { status: 413, name: "bodyTooLarge", message: outcome.message });
      case "malformed":
        return this.#refuse(received, { status: 400, name: "badRequest", message: outcome.message });
      case "overloaded":
        return this.#refuse(received, appendError(outcome.error));
      case "over":
        return;
    }
  }

  #decode(received: Received, acceptedAtMs: number, body: BodyBytes, begin: number, end: number): void {
    const { steps } = this.#ports;
    received.route.limiter?.count("bytes", end - begin);
    if (!received.route.hasTemplates) this.#begin(received, acceptedAtMs, body, begin, end);
    else if (steps.mustWait) this.#wait(received, acceptedAtMs, body.bytes.subarray(begin, end));
    else this.#beginTemplates(received, acceptedAtMs, body, begin, end);
  }

  #wait(received: Received, acceptedAtMs: number, view: Uint8Array): void {
    const { steps } = this.#ports;
    if (!steps.hasRoomFor(view.length + HEAD_BYTES)) {
      const error = new WireError("OVERLOADED", "requests with templates are waiting for their turns");
      this.#refuse(received, appendError(error));
      return;
    }
    const kept = { ...received, head: received.head.copy() };
    const body = new BodyBytes(view.slice());
    const begin = (): void => {
      // Answered already: it took too long.
      if (received.exchange.answer !== undefined) return;
      this.#beginTemplates(kept, acceptedAtMs, body, 0, body.bytes.length);
    };
    steps.wait({ bytes: view.length + HEAD_BYTES, begin });
  }

  #beginTemplates(
    received: Received,
    acceptedAtMs: number,
    body: BodyBytes,
    begin: number,
    end: number,
  ): void {
    const { record, steps } = this.#ports;
    this.#begin(received, acceptedAtMs, body, begin, end);
    steps.spend(record.budget.spent);
  }

  #begin(received: Received, acceptedAtMs: number, body: BodyBytes, begin: number, end: number): void {
    const { content, clientIp, head } = received;
    this.#ports.record.startRequest(acceptedAtMs, clientIp, head, new TemplateBudget(end - begin));
    if (content.charset === undefined) {
      this.#records(received, body, begin, end);
      return;
    }
    const decoded = decodeCharset(content.charset, body.bytes.subarray(begin, end));
    const problem = `the body is not ${content.charset}`;
    if (decoded !== undefined) this.#records(received, new BodyBytes(decoded), 0, decoded.length);
    // Lines cannot be told from each other.
    else if (content.kind === "ndjson") this.#refuseBody(received, problem);
    else this.#single(received, body, begin, end, problem);
  }

  #records(received: Received, given: BodyBytes, from: number, to: number): void {
    const { content, route } = received;
    // Where it was received another body may be by the time that programs are evaluated.
    const isCopied = route.programs.count > 0;
    const body = isCopied ? new BodyBytes(given.bytes.slice(from, to)) : given;
    const [begin, end] = isCopied ? [0, to - from] : [from, to];
    const isArray = content.kind === "json" && isArrayBody(body.bytes, begin, end);
    if ((content.kind === "ndjson" || isArray) && !this.#ports.steps.hasRoomFor(body.bytes.length)) {
      const error = new WireError("OVERLOADED", "bodies of many records are waiting for their turns");
      this.#refuse(received, appendError(error));
      return;
    }
    this.#startRecords(received);
    const walked = { body, begin, end, piece: new Piece(this.#ports.clock, route.hasTemplates) };
    if (content.kind === "ndjson") {
      const { scanner } = this.#ports.record;
      const batch = this.#batch(received, batchHead(received.head));
      this.#walk(received, walked, batch, (taker) => new LineWalk(walked, scanner, taker));
    } else if (isArray) {
      const { scanner } = this.#ports.record;
      const refuse = ({ problem, at }: ArrayProblem): void =>
        this.#refuseBody(received, `invalid JSON: ${problem} at position ${at - begin}`);
      const batch = this.#batch(received, batchHead(received.head));
      const walkOf = (taker: RecordTaker): BodyWalk => new ArrayWalk(walked, scanner, () => taker, refuse);
      this.#walk(received, walked, batch, walkOf);
    } else {
      this.#single(received, body, begin, end);
    }
  }

  #startRecords({ route }: Received): void {
    const { record } = this.#ports;
    record.scanner.use(route.tree);
    record.kind = "json";
    record.form = "scanned";
    record.bodyIsText = true;
  }

  #batch({ route, exchange }: Received, { verbose, key }: BatchHead): Batch {
    const { answers, limits, record } = this.#ports;
    const how = { answers, exchange, isVerbose: verbose };
    return new Batch(route, record, {
      recordBytesMax: limits.recordBytesMax,
      key,
      onSettled: (batch) => answerBatch(route, batch, how),
    });
  }

  /** Goes through a body; after each step others have their turn. */
  #walk(
    received: Received,
    { body, piece }: WalkedBody,
    batch: Batch,
    walkOf: (taker: RecordTaker) => BodyWalk,
  ): void {
    const { record, steps, evaluator, limits } = this.#ports;
    const { route } = received;
    const held = (): SteppedBody => {
      const { acceptedAtMs, clientIp, budget } = record;
      const head = received.head.copy();
      return {
        bytes: body.bytes.length,
        resume: () => {
          record.startRequest(acceptedAtMs, clientIp, head, budget);
          this.#startRecords(received);
        },
        // Answered already: it took too long.
        isOver: () => received.exchange.answer !== undefined,
      };
    };
    if (route.programs.count === 0) {
      steps.walk(walkOf(batch), held);
      return;
    }
    const { recordBytesMax } = limits;
    const options = { source: route.name, programs: route.programs, evaluator, recordBytesMax, piece };
    const ahead = new RecordsAhead(record, batch, options);
    steps.walkAhead(walkOf(ahead), ahead, held());
  }

  /** @param problem why its content cannot be looked into, if that is known */
  #single(received: Received, body: BodyBytes, begin: number, end: number, problem?: string): void {
    const { record, limits } = this.#ports;
    const { route } = received;
    if (end - begin > limits.recordBytesMax) {
      const message = `Request body size is over the maximum "${sizeText(limits.recordBytesMax)}".`;
      this.#refuse(received, { status: 413, name: "bodyTooLarge", message });
      return;
    }
    route.limiter?.count("records", 1);
    this.#look(received, body, begin, end, problem);
    if (route.programs.count === 0) this.#writeSingle(received);
    else this.#writeEvaluated(received, problem);
    record.end();
  }

  #look({ content, head }: Received, body: BodyBytes, begin: number, end: number, problem?: string): void {
    const { record } = this.#ports;
    if (head.keyEnd > head.keyBegin) record.key = keyHash(head.idempotencyKey);
    record.start(body, begin, end);
    if (content.kind !== "ndjson") {
      if (problem === undefined) lookInto(record, content.kind);
      else record.kind = content.kind;
    }
    if (problem !== undefined) record.refuse(problem);
  }

  #writeSingle({ route, exchange, head }: Received): void {
    const { answers, record } = this.#ports;
    writeSingle(route, record, exchange, { answers, isVerbose: isVerbose(head) });
  }

  /** Others have the record while its programs are evaluated: then it is looked at again. */
  #writeEvaluated(received: Received, problem: string | undefined): void {
    const { record, evaluator, onFatal } = this.#ports;
    const { route, exchange } = received;
    const { acceptedAtMs, clientIp, budget } = record;
    const isOver = (): boolean => exchange.answer !== undefined;
    const kept = { ...received, head: received.head.copy() };
    const bytes = record.body.bytes.slice(record.bodyBegin, record.bodyEnd);
    evaluateRecord(record, { source: route.name, programs: route.programs, evaluator }, isOver)
      .then((evaluated) => {
        if (isOver()) return;
        record.startRequest(acceptedAtMs, clientIp, kept.head, budget);
        record.scanner.use(route.tree);
        this.#look(kept, new BodyBytes(bytes), 0, bytes.length, problem);
        record.evaluated = evaluated;
        this.#writeSingle(kept);
        record.end();
      })
      .catch(onFatal);
  }

  #refuseBody(received: Received, reason: string): void {
    this.#refuse(received, mappingError(undecodable(received.route.readingColumn, reason)));
  }

  #refuse({ exchange }: Received, error: DoorError): void {
    exchange.send(this.#ports.answers.error(error, exchange.isLast));
  }
}

/** What a batch needs of its head. */
interface BatchHead {
  readonly verbose: boolean;
  readonly key: string | undefined;
}

function batchHead(head: RequestHead): BatchHead {
  return { verbose: isVerbose(head), key: head.keyEnd > head.keyBegin ? head.idempotencyKey : undefined };
}

function isVerbose(head: RequestHead): boolean {
  return head.queryEnd > head.queryBegin && new URLSearchParams(head.query).get("verbose") === "true";
}
