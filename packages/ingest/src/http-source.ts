// The HTTP source put together: listener, sessions, routes from the mirror, dispatcher.
import { type Clock, type Logger, type Metrics, type Random } from "@millrace/base";
import type { DefinitionMirror } from "./definition-mirror.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Http1Server } from "./http1-server.ts";
import { Answers } from "./http-source-answers.ts";
import { Intake } from "./http-source-intake.ts";
import { DoorRecord } from "./http-source-record.ts";
import { SourceIndex } from "./http-source-index.ts";
import { publishedJournals, sourceRoute, type SourceRoute } from "./http-source-routes.ts";
import { DoorSession, type SessionPorts } from "./http-source-session.ts";
import { COMPILED_SOURCES_MAX, type DoorLimits } from "./limits.ts";
import type { Turns } from "./publisher-turns.ts";
import type { FramePort, PartitionPort } from "./publisher.ts";

export interface HttpSourcePorts {
  readonly mirror: DefinitionMirror;
  readonly frames: FramePort;
  readonly partitions: PartitionPort;
  readonly clock: Clock;
  readonly turns: Turns;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Pages besides the ingest paths, such as /metrics and /readyz. */
  readonly page: SessionPorts["page"];
  /** A failure that is a bug: nothing may be acknowledged any more. */
  readonly onFatal: (error: unknown) => void;
}

export interface HttpSourceOptions {
  readonly limits: DoorLimits;
  /** Frames of a partition that may be under way at the same time. */
  readonly lanes: number;
}

export class HttpSource {
  readonly #dispatcher: Dispatcher;
  readonly #table: SourceIndex<SourceRoute>;
  readonly #server: Http1Server;
  readonly #logger: Logger;
  #isStopping = false;

  /** @param ports the mirror is loaded and runs */
  constructor(ports: HttpSourcePorts, options: HttpSourceOptions) {
    const { limits, lanes } = options;
    const { random, clock, turns, onFatal } = ports;
    this.#logger = ports.logger;
    this.#dispatcher = new Dispatcher(ports, { limits, lanes }, onFatal);
    const { mirror } = ports;
    const dispatcher = this.#dispatcher;
    this.#table = new SourceIndex<SourceRoute>(mirror, {
      compile: (source) => sourceRoute(source, mirror.sinks(source), { dispatcher, random }),
      onForgotten: (routes) => {
        const wanted = new Set(publishedJournals(routes));
        dispatcher.prune((name) => wanted.has(name));
      },
      compiledMax: COMPILED_SOURCES_MAX,
    });
    const answers = new Answers(random, ports.metrics);
    const intake = new Intake({ answers, record: new DoorRecord(), limits, clock, onFatal });
    const session: SessionPorts = {
      table: this.#table,
      answers,
      intake,
      page: ports.page,
      isStopping: () => this.#isStopping,
    };
    this.#server = new Http1Server({
      limits,
      clock,
      turns,
      session: (clientAddress) => new DoorSession(session, clientAddress),
    });
  }

  /** Open connections, and bytes of rows that wait for their append. */
  get load(): { readonly connections: number; readonly queuedBytes: number } {
    return { connections: this.#server.connections, queuedBytes: this.#dispatcher.queuedBytes };
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
    const served = this.#server.stop(signal);
    await this.#dispatcher.stop(signal);
    await served;
    this.#table.close();
    this.#logger.info("http-source-stopped");
  }
}
