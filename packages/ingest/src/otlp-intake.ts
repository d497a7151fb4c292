// OTLP at the door: requests of either transport become flat records, and these go the way of every batch.
//
// O1 The records of a request know its headers, without the one that authorises it.
// O2 While it is not known of some records whether they were appended, that is said of the request: a partial success
//    would tell the client not to send them again.
// O3 Over gRPC Forwarded counts for nothing: metadata leaves out what is not ASCII, so a client could have its proxy's
//    X-Forwarded-For left out, and write a Forwarded of its own.
import { BodyBytes, type Clock, type IpNetwork, utf8 } from "@millrace/base";
import type { ServerCall } from "@millrace/grpc";
import type { ProgramEvaluator } from "@millrace/jsonata";
import {
  type AnsweredExport,
  exportOverHttp,
  FLATTEN_LIMITS,
  type ExportOutcome,
  type FlatRecords,
  type Gunzipped,
  type OtlpGrpcPorts,
  type OtlpHttpRequest,
  type OtlpPorts,
  type RequestWalk,
  type SourceFound,
  type Walked,
} from "@millrace/otlp";
import { clientAddress, clientPeer } from "./client-address.ts";
import type { BodyOpening } from "./body-opening.ts";
import { takesSignal } from "./definitions.ts";
import type { Exchange } from "./http1-exchange.ts";
import {
  appendError,
  DISABLED_SOURCE,
  NO_SOURCE_FOUND,
  SHUTDOWN,
  type Answers,
  type DoorError,
} from "./http-source-answers.ts";
import { Batch, type SettledBatch } from "./http-source-batch.ts";
import { RecordHeaders } from "./http-source-headers.ts";
import { isKey, wrongKey } from "./idempotency-key.ts";
import type { RequestMeter } from "./request-meter.ts";
import type { DoorRecord } from "./http-source-record.ts";
import { isSecret, type SourceRoute } from "./http-source-routes.ts";
import type { BodySteps, SteppedBody } from "./http-source-steps.ts";
import { LineWalk } from "./http-source-walk.ts";
import type { DoorLimits } from "./limits.ts";
import { TemplateBudget } from "./mapping-budget.ts";
import type { OtlpWalks } from "./otlp-walks.ts";
import { RecordsAhead } from "./records-ahead.ts";
import { Piece } from "./work-turns.ts";

/** Whose records they are, and where they come from. */
export interface OtlpCaller {
  readonly route: SourceRoute;
  readonly clientIp: Uint8Array;
  readonly headers: RecordHeaders;
  /** Of the request, if it has one (idempotency-key.ts). */
  readonly key: string | undefined;
  /** When the request came, for its meter. */
  readonly begunMs: number;
  /** Nobody waits for the answer any more. */
  readonly isOver: () => boolean;
}

export interface OtlpIntakePorts {
  readonly answers: Answers;
  readonly record: DoorRecord;
  readonly limits: DoorLimits;
  readonly clock: Clock;
  readonly steps: BodySteps;
  readonly opening: BodyOpening;
  readonly walks: OtlpWalks;
  readonly evaluator: ProgramEvaluator;
  /** Of calls of gRPC; those over HTTP are noted with their answers. */
  readonly meter: RequestMeter;
  /** The source with a secret. */
  readonly findBySecret: (secret: string) => SourceFound<SourceRoute>;
  /** Whose word is taken for who sent a request. */
  readonly trustedProxies: readonly IpNetwork[];
  readonly isStopping: () => boolean;
  /** A failure that is a bug. */
  readonly onFatal: (error: unknown) => void;
}

const UNFINISHED: DoorError = {
  status: 503,
  name: "outcomeUnknown",
  message: "The request took too long, it is not known whether it was processed.",
  retryAfter: 1,
};

export class OtlpIntake implements OtlpGrpcPorts<OtlpCaller>, OtlpPorts<OtlpCaller> {
  readonly limits = FLATTEN_LIMITS;
  readonly #ports: OtlpIntakePorts;

  constructor(ports: OtlpIntakePorts) {
    this.#ports = ports;
  }

  /** Bound of a body, and of what it is when it is opened. */
  get bodyBytesMax(): number {
    return this.#ports.limits.batchBytesMax;
  }

  /** Answers `exchange` later. @param body a copy, or what nobody writes to */
  take(
    request: OtlpHttpRequest<SourceRoute>,
    caller: OtlpCaller,
    body: Uint8Array,
    exchange: Exchange,
  ): void {
    const { answers, onFatal } = this.#ports;
    const { limiter } = caller.route;
    if (limiter !== undefined) exchange.extraLines = () => limiter.headerLines();
    exportOverHttp({ ...request, source: caller }, body, this)
      .then((outcome) => {
        const { isLast } = exchange;
        const answer =
          outcome.kind === "refused"
            ? answers.error(outcome.refusal, isLast)
            : answers.otlp(outcome.answer, isLast);
        exchange.send(answer);
      })
      .catch(onFatal);
  }

  findBySecret(secret: string, call: ServerCall): SourceFound<OtlpCaller> {
    const { findBySecret, isStopping, trustedProxies } = this.#ports;
    if (isStopping()) return { kind: "refused", refusal: SHUTDOWN };
    const found = findBySecret(secret);
    if (found.kind === "refused") return found;
    const route = found.source;
    const bytes = utf8(secret);
    if (!isSecret(route.secret, bytes, 0, bytes.length)) return { kind: "refused", refusal: NO_SOURCE_FOUND };
    if (!route.isEnabled) return { kind: "refused", refusal: DISABLED_SOURCE };
    const peer = clientPeer(hostOf(call.peer.address), trustedProxies);
    // O3
    const clientIp = clientAddress(peer, trustedProxies, () => ({
      xForwardedFor: [call.metadata.get("x-forwarded-for") ?? []].flat(),
      forwarded: [],
    }));
    const headers = recordHeaders(call.metadata);
    const key = call.metadata.get("idempotency-key");
    if (key !== undefined && !isKey(key)) return { kind: "refused", refusal: wrongKey(key) };
    const begunMs = this.#ports.meter.begin();
    return { kind: "source", source: { route, clientIp, headers, key, begunMs, isOver: () => call.isOver } };
  }

  onAnswered({ begunMs }: OtlpCaller, { receivedBytes, isFailed }: AnsweredExport): void {
    this.#ports.meter.end(begunMs, receivedBytes, isFailed);
  }

  refusal({ route }: OtlpCaller): DoorError | undefined {
    return route.limiter?.refusal();
  }

  async gunzip({ isOver }: OtlpCaller, bytes: Uint8Array): Promise<Gunzipped> {
    const { limits, opening } = this.#ports;
    const bounds = {
      bytesMax: this.bodyBytesMax,
      ratioMax: limits.compressionRatioMax,
      bytesFree: limits.recordBytesMax,
    };
    const outcome = await opening.open({ encoding: "gzip", bytes, bounds, isOver });
    if (outcome.kind === "bytes") return outcome;
    if (outcome.kind === "overloaded") return { kind: "refused", refusal: appendError(outcome.error) };
    if (outcome.kind === "over") return { kind: "refused", refusal: UNFINISHED };
    const { message } = outcome;
    const refusal =
      outcome.kind === "tooLarge"
        ? { status: 413, name: "bodyTooLarge" }
        : { status: 400, name: "badRequest" };
    return { kind: "refused", refusal: { ...refusal, message } };
  }

  async walk({ isOver }: OtlpCaller, walk: RequestWalk, bytes: number): Promise<Walked> {
    const outcome = await this.#ports.walks.run(walk, { bytes, isOver });
    if (outcome.kind === "done") return { kind: "records", records: outcome.value, release: outcome.release };
    return { kind: "refused", refusal: outcome.kind === "over" ? UNFINISHED : appendError(outcome.error) };
  }

  write(caller: OtlpCaller, { signal, count, bytes }: FlatRecords): Promise<ExportOutcome> {
    const { route, headers, clientIp, key, isOver } = caller;
    const { record, limits, steps, clock, answers, evaluator } = this.#ports;
    // Others may have come while it was gone through.
    const refusal = route.limiter?.refusal();
    if (refusal !== undefined) return Promise.resolve(allRejected(count, refusal));
    route.limiter?.count("bytes", bytes.length);
    const view = { ...route, sinks: route.sinks.filter(({ sink }) => takesSignal(sink, signal)) };
    const acceptedAtMs = clock.wallMs();
    const budget = new TemplateBudget(bytes.length);
    // What was reserved stays so until the end (L3 of otlp-walks.ts: there is room for it).
    const heldBytes = bytes.buffer.byteLength;
    const piece = new Piece(clock, route.hasTemplates);
    return new Promise((resolve) => {
      const start = (): void => {
        record.startRequest(acceptedAtMs, clientIp, headers, budget);
        record.scanner.use(route.tree);
        record.kind = "json";
        record.form = "scanned";
        record.bodyIsText = true;
      };
      const batch = new Batch(view, record, {
        recordBytesMax: limits.recordBytesMax,
        key,
        onSettled: (settled) => {
          if (settled.rejected > 0) answers.rejected(settled.rejected);
          resolve(outcomeOf(count, settled));
        },
      });
      const walked = { body: new BodyBytes(bytes), begin: 0, end: bytes.length, piece };
      const held: SteppedBody = {
        bytes: heldBytes,
        resume: start,
        isOver: () => {
          if (!isOver()) return false;
          resolve(allRejected(count, UNFINISHED));
          return true;
        },
      };
      const { name: source, programs, hasTemplates } = route;
      const begin = (): void => {
        if (held.isOver()) return;
        start();
        if (programs.count === 0) steps.walk(new LineWalk(walked, record.scanner, batch), () => held);
        else {
          const { recordBytesMax } = limits;
          const ahead = new RecordsAhead(record, batch, {
            source,
            programs,
            evaluator,
            recordBytesMax,
            piece,
          });
          steps.walkAhead(new LineWalk(walked, record.scanner, ahead), ahead, held);
        }
        steps.spend(budget.spent);
      };
      if (hasTemplates && steps.mustWait) steps.wait({ bytes: heldBytes, begin });
      else begin();
    });
  }
}

/** O1 */
export function recordHeaders(lines: Iterable<readonly [name: string, value: string]>): RecordHeaders {
  return new RecordHeaders([...lines].filter(([name]) => name.toLowerCase() !== "authorization"));
}

function outcomeOf(count: number, { rejected, rejections, unknown, worst }: SettledBatch): ExportOutcome {
  if (unknown !== undefined) return allRejected(count, unknown); // O2
  if (rejected === 0) return { total: count, rejected: 0 };
  const first = rejections.reduce((a, b) => (b.index < a.index ? b : a));
  const { status = 422, retryAfter } = worst ?? {};
  const failure = { status, firstError: first.reason, ...(retryAfter === undefined ? {} : { retryAfter }) };
  return { total: count, rejected, failure };
}

function allRejected(total: number, { status, message, retryAfter }: DoorError): ExportOutcome {
  const failure = { status, firstError: message, ...(retryAfter === undefined ? {} : { retryAfter }) };
  return { total, rejected: total, failure };
}

/** `127.0.0.1:54321` without its port. */
function hostOf(address: string): string {
  const host = /^(?:\[([^\]]+)\]|([^:]+)):\d+$/.exec(address);
  return host?.[1] ?? host?.[2] ?? address;
}
