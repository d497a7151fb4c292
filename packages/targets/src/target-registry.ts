// The targets of an installation: one for each place and login that a sink names, opened at its first use.
//
// K1 Sinks with the same place and login share a target, and with it its sessions; those of different places share
//    nothing, so that one that hangs holds up nobody else.
// K2 A changed login is another target; the one before ends what is under way and is forgotten.
import { WireError, type Clock } from "@millrace/base";
import {
  CLICKHOUSE_USER,
  POSTGRES_PORT,
  shownTarget,
  type PostgresSettings,
  type SinkKey,
  type Target,
  type TargetRef,
  type TargetRegistry,
  type TargetSettings,
} from "@millrace/ingest";
import type { ObjectStore } from "@millrace/stores";
import { ClickHouseTarget } from "./clickhouse-target.ts";
import { TARGETS_OPEN_MAX } from "./limits.ts";
import { ParquetTarget } from "./parquet-target.ts";
import type { PostgresConnection, PostgresTls } from "./postgres-connection.ts";
import { PostgresTarget } from "./postgres-target.ts";

export interface SinkTargetsPorts {
  /** Undefined where the warehouse is in no reach. */
  readonly warehouse: Target | undefined;
  readonly stagingStore: ObjectStore;
  /** The bucket or directory of a target, ready for use. @throws {WireError} INVALID_ARGUMENT */
  readonly openStore: (url: string, signal: AbortSignal) => Promise<ObjectStore>;
  /** How a sink logs in at a target that it has or has had. @throws {WireError} NOT_FOUND */
  readonly settings: (sink: SinkKey, target: TargetRef, signal: AbortSignal) => Promise<TargetSettings>;
  readonly clock: Clock;
}

interface Opened {
  readonly target: Target;
  readonly close: () => void;
}

export class SinkTargets implements TargetRegistry {
  readonly #ports: SinkTargetsPorts;
  /** By place and login; the least recently used one first. */
  readonly #opened = new Map<string, Opened>();

  constructor(ports: SinkTargetsPorts) {
    this.#ports = ports;
  }

  async open(ref: TargetRef, sink: SinkKey, signal: AbortSignal): Promise<Target> {
    if (ref.kind === "duckdb") return this.#warehouse(ref);
    const settings = await this.#settings(ref, sink, signal);
    return this.at(settings, signal);
  }

  /** The target of these settings. @throws {WireError} UNPROCESSABLE, INVALID_ARGUMENT */
  async at(settings: TargetSettings, signal: AbortSignal): Promise<Target> {
    if (settings.type === "duckdb") return this.#warehouse({ kind: "duckdb" });
    const name = JSON.stringify(settings);
    const opened = this.#opened.get(name) ?? (await this.#make(settings, signal));
    this.#opened.delete(name);
    this.#opened.set(name, opened);
    for (const [oldest, { close }] of this.#opened) {
      if (this.#opened.size <= TARGETS_OPEN_MAX) break;
      this.#opened.delete(oldest);
      close();
    }
    return opened.target;
  }

  /** Lets go of all; what is under way ends first. */
  close(): void {
    for (const { close } of this.#opened.values()) close();
    this.#opened.clear();
  }

  #warehouse(ref: Pick<TargetRef, "kind" | "connection">): Target {
    const { warehouse } = this.#ports;
    if (warehouse !== undefined && ref.connection === undefined) return warehouse;
    throw new WireError("UNPROCESSABLE", `there is no target ${shownTarget(ref)} here`);
  }

  async #settings(ref: TargetRef, sink: SinkKey, signal: AbortSignal): Promise<TargetSettings> {
    try {
      return await this.#ports.settings(sink, ref, signal);
    } catch (thrown) {
      const { code, message } = WireError.from(thrown);
      if (code !== "NOT_FOUND") throw thrown;
      throw new WireError("UNPROCESSABLE", message, { cause: thrown });
    }
  }

  async #make(settings: Exclude<TargetSettings, { type: "duckdb" }>, signal: AbortSignal): Promise<Opened> {
    const { stagingStore, clock } = this.#ports;
    switch (settings.type) {
      case "postgres": {
        const target = new PostgresTarget({
          connection: postgresConnection(settings.connection),
          stagingStore,
          clock,
        });
        return { target, close: () => target.close() };
      }
      case "parquet": {
        const store = await this.#ports.openStore(settings.connection.url, signal);
        return { target: new ParquetTarget({ store, stagingStore }), close: () => undefined };
      }
      case "clickhouse": {
        const { url, user = CLICKHOUSE_USER, password = "" } = settings.connection;
        const connection = { url: new URL(url).origin, user, password };
        const target = new ClickHouseTarget({ connection, stagingStore, clock });
        return { target, close: () => undefined };
      }
    }
  }
}

export function postgresConnection(settings: PostgresSettings): PostgresConnection {
  const { host, port = POSTGRES_PORT, database, user, password = "" } = settings;
  return { host, port, database, user, password, tls: tlsOf(settings) };
}

function tlsOf({ host, sslMode, sslRootCert }: PostgresSettings): PostgresTls {
  const mode = sslMode ?? (host.startsWith("/") ? "disable" : "verify-full");
  if (mode === "disable") return { mode: "off" };
  if (mode === "require") return { mode: "unverified" };
  return { mode: "verified", ...(sslRootCert === undefined ? {} : { ca: sslRootCert }) };
}
