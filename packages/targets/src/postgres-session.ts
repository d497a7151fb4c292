// One session of a PostgreSQL: statements, COPY, and an end whatever the server does. The driver does the protocol:
// SCRAM, TLS, parameters.
import { connect } from "node:net";
import { WireError } from "@millrace/base";
import type { Client } from "pg";
import { CONNECT_MS } from "./limits.ts";
import { tlsOptions, type PostgresConnection } from "./postgres-connection.ts";
import { CopyIn } from "./postgres-copy.ts";

/** Rows as arrays of the values' text; what is NULL is null. */
export type PostgresRow = readonly (string | null)[];

/** Code of a request that cancels, in place of a protocol version. */
const CANCEL = 80_877_102;
const CANCEL_BYTES = 16;
const KEEP_ALIVE_MS = 30_000;

export class PostgresSession {
  readonly #client: Client;
  readonly #connection: PostgresConnection;
  #isLost = false;

  private constructor(client: Client, connection: PostgresConnection) {
    this.#client = client;
    this.#connection = connection;
    const onLost = (): void => {
      this.#isLost = true;
    };
    client.on("error", onLost).on("end", onLost);
  }

  /** @throws what the driver or the server says */
  static async open(connection: PostgresConnection, signal: AbortSignal): Promise<PostgresSession> {
    // Loaded when there is a sink that needs it.
    const { default: pg } = await import("pg");
    const { host, port, database, user, password, tls } = connection;
    const client = new pg.Client({
      host,
      port,
      database,
      user,
      // As a function: an empty one would be looked for in files of the process's user.
      password: () => password,
      ssl: tlsOptions(tls),
      application_name: "millrace",
      connectionTimeoutMillis: CONNECT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      types: { getTypeParser: () => (value: string) => value },
    });
    const session = new PostgresSession(client, connection);
    try {
      await session.during(signal, () => client.connect());
    } catch (error) {
      session.destroy();
      throw error;
    }
    return session;
  }

  /** Whether it can be used again. */
  get isUsable(): boolean {
    return !this.#isLost;
  }

  /** Runs `work` on this session; when `signal` aborts, what the server is doing is cancelled and the session ends. */
  async during<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const onAbort = (): void => this.#cancel();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** One statement with its values; or several, separated by semicolons, without. */
  async query(text: string, values: readonly unknown[] = []): Promise<readonly PostgresRow[]> {
    const result = await this.#client.query<(string | null)[]>({
      text,
      rowMode: "array",
      ...(values.length === 0 ? {} : { values: [...values] }),
    });
    return result.rows ?? [];
  }

  /** @returns whether the transaction was committed, and not rolled back for what went wrong in it */
  async commit(): Promise<void> {
    const { command } = await this.#client.query("COMMIT");
    if (command !== "COMMIT")
      throw new WireError("UNAVAILABLE", `PostgreSQL answered COMMIT with ${command}`);
  }

  /** @returns rows that the server took */
  copyIn(text: string, chunks: AsyncIterable<Uint8Array>): Promise<number> {
    return this.#client.query(new CopyIn(text, chunks)).done;
  }

  /** Ends it; what the server is doing is rolled back. */
  destroy(): void {
    this.#isLost = true;
    streamOf(this.#client).destroy();
  }

  /** The server looks at the connection only when a statement is over: it is told, on another one. */
  #cancel(): void {
    const { processID, secretKey } = this.#client as Client & {
      processID: number | null;
      secretKey: number | null;
    };
    this.destroy();
    if (processID === null || secretKey === null) return;
    const request = Buffer.alloc(CANCEL_BYTES);
    request.writeInt32BE(CANCEL_BYTES, 0);
    request.writeInt32BE(CANCEL, 4);
    request.writeInt32BE(processID, 8);
    request.writeInt32BE(secretKey, 12);
    const { host, port } = this.#connection;
    const socket = connect(host.startsWith("/") ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
    // The server hangs up when it has read it; whether it did is not to be known.
    socket.setTimeout(CONNECT_MS, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.end(request);
    socket.resume();
  }
}

function streamOf(client: Client): { destroy(): void } {
  return (client as Client & { connection: { stream: { destroy(): void } } }).connection.stream;
}
