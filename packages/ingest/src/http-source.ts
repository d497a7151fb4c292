// The HTTP source put together: listener, sessions, routes from the mirror, dispatcher; and on the same port OTLP, over
// HTTP and gRPC.
import { type Clock, type IpNetwork, type Logger, type Metrics, type Random } from "@millrace/base";
import { GrpcServer } from "@millrace/grpc";
import type { ProgramEvaluator } from "@millrace/jsonata";
import { OTLP_GRPC_ENCODINGS, otlpHandlers, type SourceFound } from "@millrace/otlp";
import type { DefinitionMirror } from "./definition-mirror.ts";
import { DiskQuotas, type DiskUse } from "./disk-quota.ts";
import { Dispatcher, type DeadLetterPort } from "./dispatcher.ts";
import type { decompressBody } from "./body-decompress.ts";
import { BodyOpening } from "./body-opening.ts";
import { Http1Server } from "./http1-server.ts";
import { Answers, CLOSED_SOURCE, NO_SOURCE_FOUND } from "./http-source-answers.ts";
import { BodySteps } from "./http-source-steps.ts";
import { Intake } from "./http-source-intake.ts";
import { DoorRecord } from "./http-source-record.ts";
import { SourceIndex } from "./http-source-index.ts";
import { publishedJournals, sourceRoute, type SourceRoute } from "./http-source-routes.ts";
import { DoorSession, type SessionPorts } from "./http-source-session.ts";
import { COMPILED_SOURCES_MAX, OTLP_CALLS_MAX, type DoorLimits } from "./limits.ts";
import { LetterUse, type LetterUsePorts } from "./letter-use.ts";
import { OtlpIntake } from "./otlp-intake.ts";
import { OtlpWalks } from "./otlp-walks.ts";
import { RequestMeter } from "./request-meter.ts";
import { SecretIndex } from "./source-secrets.ts";
import type { Turns } from "./publisher-turns.ts";
import type { FramePort, PartitionPort } from "./publisher.ts";
import { SourceLimiters } from "./rate-limit.ts";
import { WorkTurns } from "./work-turns.ts";

export interface HttpSourcePorts {
  readonly mirror: DefinitionMirror;
  readonly frames: FramePort;
  readonly partitions: PartitionPort;
  readonly deadLetters: DeadLetterPort;
  readonly clock: Clock;
  readonly turns: Turns;
  readonly evaluator: ProgramEvaluator;
  /** Opens compressed bodies; default: zlib's threads (body-decompress.ts). */
  readonly decompress?: typeof decompressBody;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** What waits on the disk. */
  readonly diskUse: DiskUse;
  readonly oldestLetter: LetterUsePorts["oldestLetter"];
  /** This process's share of the limits of sources, in (0, 1]. */
  readonly share: () => number;
  /** Pages besides the ingest paths, such as /metrics and /readyz. */
  readonly page: SessionPorts["page"];
  /** A failure that is a bug: nothing may be acknowledged any more. */
  readonly onFatal: (error: unknown) => void;
}

export interface HttpSourceOptions {
  readonly limits: DoorLimits;
  /** Frames of a partition that may be under way at the same time. */
  readonly lanes: number;
  /** Bytes of all sinks together that may wait for their tables; 0: any number. */
  readonly quotaBytes: number;
  /** Proxies whose X-Forwarded-For or Forwarded says who sent a request. */
  readonly trustedProxies: readonly IpNetwork[];
}

/** A gRPC peer that is gone without a word holds its calls no longer than this. */
const KEEPALIVE = { afterMs: 30_000, timeoutMs: 20_000 };

export class HttpSource {
  readonly #dispatcher: Dispatcher;
  readonly #table: SourceIndex<SourceRoute>;
  readonly #secrets: SecretIndex;
  readonly #server: Http1Server;
  readonly #grpc: GrpcServer;
  readonly #letters: LetterUse;
  readonly #logger: Logger;
  #isStopping = false;

  /** @param ports the mirror is loaded and runs */
  constructor(ports: HttpSourcePorts, options: HttpSourceOptions) {
    const { limits, lanes, trustedProxies } = options;
    const { random, clock, turns, evaluator, onFatal } = ports;
    this.#logger = ports.logger;
    const { onAppended } = ports.diskUse;
    const letters = new LetterUse(ports, onFatal);
    this.#letters = letters;
    const noting = { onAppended, onLetters: letters.onAppended };
    this.#dispatcher = new Dispatcher({ ...ports, ...noting }, { limits, lanes }, onFatal);
    const { mirror } = ports;
    const dispatcher = this.#dispatcher;
    const limiters = new SourceLimiters(clock, ports.share);
    const allBytesMax = options.quotaBytes;
    const quotas = new DiskQuotas({ ...ports, use: ports.diskUse, letters, allBytesMax });
    const compiling = { dispatcher, random, limiters, quotas };
    this.#table = new SourceIndex<SourceRoute>(mirror, {
      compile: (source) => sourceRoute(source, mirror.sinks(source), compiling),
      onForgotten: (routes) => {
        const wanted = new Set(publishedJournals(routes));
        dispatcher.prune((name) => wanted.has(name));
      },
      compiledMax: COMPILED_SOURCES_MAX,
    });
    const answers = new Answers(random, ports.metrics);
    const pieces = new WorkTurns(turns);
    const steps = new BodySteps({ turns: pieces, limits, onFatal });
    const opening = new BodyOpening({ ...ports, limits });
    const isStopping = (): boolean => this.#isStopping;
    const meters = { http: new RequestMeter("http", ports), otlp: new RequestMeter("otlp", ports) };
    const shared = {
      answers,
      record: new DoorRecord(),
      limits,
      clock,
      steps,
      opening,
      evaluator,
      onFatal,
      isStopping,
      trustedProxies,
    };
    const intake = new Intake(shared);
    this.#secrets = new SecretIndex(mirror, "otlp");
    const otlp = new OtlpIntake({
      ...shared,
      walks: new OtlpWalks({ steps, turns: pieces, clock, limits }),
      meter: meters.otlp,
      findBySecret: (secret) => this.#findBySecret(secret),
    });
    this.#grpc = grpcServer(otlp, ports, limits);
    const { page } = ports;
    const session: SessionPorts = {
      table: this.#table,
      answers,
      intake,
      otlp,
      meters,
      page,
      isStopping,
      trustedProxies,
    };
    this.#server = new Http1Server({
      limits,
      clock,
      turns,
      onHttp2: (socket, alreadyRead) => this.#grpc.serve(socket, alreadyRead),
      session: (clientAddress) => new DoorSession(session, clientAddress),
    });
  }

  /** Open connections, and bytes of rows that wait for their append. */
  get load(): { readonly connections: number; readonly queuedBytes: number } {
    const connections = this.#server.connections + this.#grpc.connections;
    return { connections, queuedBytes: this.#dispatcher.queuedBytes };
  }

  /** @returns the address; a port 0 has become a free one @throws the system's error (EADDRINUSE…) */
  async listen(address: {
    readonly host: string;
    readonly port: number;
  }): Promise<{ host: string; port: number }> {
    const bound = await this.#server.listen(address);
    this.#logger.info("http-source-listens", bound);
    return bound;
  }

  /**
   * Takes no more records, answers those that were taken, and resolves when all is done.
   * @param signal aborts when the time for that is over: what remains is cut off, and its outcome unknown
   */
  async stop(signal: AbortSignal): Promise<void> {
    this.#isStopping = true;
    const served = Promise.all([this.#server.stop(signal), this.#grpc.stop(signal)]);
    await this.#dispatcher.stop(signal);
    await served;
    await this.#letters.close();
    this.#table.close();
    this.#secrets.close();
    this.#logger.info("http-source-stopped");
  }

  #findBySecret(secret: string): SourceFound<SourceRoute> {
    const key = this.#secrets.find(secret);
    if (key === undefined && this.#secrets.hasClosed) return { kind: "refused", refusal: CLOSED_SOURCE };
    const source = key && this.#table.findOne(key, ({ source }) => source.branchId === key.branchId);
    return source === undefined ? { kind: "refused", refusal: NO_SOURCE_FOUND } : { kind: "source", source };
  }
}

function grpcServer(
  otlp: OtlpIntake,
  { clock, logger }: Pick<HttpSourcePorts, "clock" | "logger">,
  { headBytesMax }: DoorLimits,
): GrpcServer {
  return new GrpcServer({
    handlers: otlpHandlers(otlp),
    passEncodings: OTLP_GRPC_ENCODINGS,
    clock,
    logger,
    limits: {
      receiveBytesMax: otlp.bodyBytesMax,
      headerListBytesMax: headBytesMax,
      maxConcurrentStreams: OTLP_CALLS_MAX,
    },
    keepalive: KEEPALIVE,
  });
}
