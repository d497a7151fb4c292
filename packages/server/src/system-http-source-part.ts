// The HTTP source as a part of the process: records come in here and go to the broker of this process.
import { hostPolicy, refuseHost } from "@millrace/base";
import { append, type JournalTransport } from "@millrace/client";
import {
  DEFAULT_DOOR_LIMITS,
  HttpSource,
  oldestLetter,
  systemTurns,
  type DeadLetterPort,
  type DefinitionMirror,
  type DiskUse,
  type FramePort,
  type HttpSourcePorts,
  type Partitions,
} from "@millrace/ingest";
import type { ProgramEvaluator } from "@millrace/jsonata";
import { connectionBounds } from "./connection-share.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { bindFailure, bindHost, processDescriptors } from "./system-listen.ts";
import { listenAddress, type PartContext } from "./part-context.ts";

/** Frames of a partition that may be under way at the same time. */
const LANES = 3;
const TEXT = "text/plain; charset=utf-8";
const METRICS = "text/plain; version=0.0.4; charset=utf-8";

export async function startHttpSource(
  lifecycle: Lifecycle,
  context: PartContext,
  parts: {
    readonly transport: JournalTransport;
    readonly catalog: DefinitionMirror;
    readonly partitions: Partitions;
    readonly diskUse: DiskUse;
    readonly evaluator: ProgramEvaluator;
    /** This process's share of the limits of sources. */
    readonly share: () => number;
    readonly deadLetters: DeadLetterPort;
  },
): Promise<{ host: string; port: number }> {
  const { config } = context;
  const address = listenAddress(config, "http-source.listen");
  const source = new HttpSource(
    {
      ...context,
      mirror: parts.catalog,
      partitions: parts.partitions,
      diskUse: parts.diskUse,
      oldestLetter: (journal, asking) => oldestLetter(parts.transport, journal, asking),
      evaluator: parts.evaluator,
      share: parts.share,
      deadLetters: parts.deadLetters,
      frames: framesOf(context, parts.transport),
      turns: systemTurns,
      page: pages(context, address.host),
    },
    {
      lanes: LANES,
      quotaBytes: config["http-source.quota"],
      trustedProxies: config["http-source.trusted-proxies"],
      limits: {
        ...DEFAULT_DOOR_LIMITS,
        recordBytesMax: config["http-source.max-body"],
        batchBytesMax: config["http-source.max-batch"],
        maxConnections: connectionBounds(processDescriptors(), config["http-source.max-connections"]).source,
        headTimeoutMs: Math.min(DEFAULT_DOOR_LIMITS.headTimeoutMs, config["http-source.request-timeout"]),
        requestTimeoutMs: config["http-source.request-timeout"],
        idleTimeoutMs: config["http-source.idle-timeout"],
      },
    },
  );
  const bound = await lifecycle.start(
    "http-source",
    () =>
      source.listen({ host: bindHost(address.host), port: address.port }).catch((error: unknown) => {
        throw bindFailure("http-source.listen", address, error as NodeJS.ErrnoException);
      }),
    (_bound, signal) => source.stop(signal),
  );
  return { host: address.host, port: bound.port };
}

/** Appends to the journals behind `transport`. */
export function framesOf(
  ports: Pick<PartContext, "clock" | "logger">,
  transport: JournalTransport,
): FramePort {
  return {
    appendFrame: (journal, content, signal) => append({ ...ports, transport }, journal, content, {}, signal),
  };
}

/** Probes and metrics, and who may have them: like every listener's, behind Host, Origin and the token. */
function pages({ tokens, health, metrics }: PartContext, listenHost: string): HttpSourcePorts["page"] {
  const policy = hostPolicy(listenHost, tokens.hasPlatformToken);
  const text = (status: number, line: string) => ({ status, contentType: TEXT, body: `${line}\n` });
  return ({ method, path, host, origin, authorization }) => {
    const refused = refuseHost(host, origin, policy);
    if (refused !== undefined) return text(403, refused);
    if (method !== "GET") return undefined;
    switch (path) {
      case "/livez":
        return text(200, "ok");
      case "/readyz": {
        const ready = health.page();
        return { status: ready.status, contentType: TEXT, body: ready.text };
      }
      case "/metrics":
        if (tokens.bearerOf(authorization) === undefined)
          return { ...text(401, "a token is required"), challenge: "Bearer" };
        return { status: 200, contentType: METRICS, body: metrics.render() };
      default:
        return undefined;
    }
  };
}
