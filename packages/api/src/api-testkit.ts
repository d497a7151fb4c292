// The configuration API over a memory store, asked without sockets. For its tests.
import assert from "node:assert/strict";

import { never, silentLogger, systemClock, type WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { DefinitionMirror, DefinitionRepository, plainSecrets, type Column } from "@millrace/ingest";
import { openMemoryStore } from "@millrace/metadata/testkit";
import fastify, { type FastifyInstance } from "fastify";

import { apiRoutes } from "./api-routes.ts";
import { TaskStore } from "./task-store.ts";

export const FLIGHTS = { type: "http", name: "Flights", sourceId: "flights" };
export const SINK = {
  type: "table",
  name: "Flights",
  sinkId: "flights",
  table: {
    type: "duckdb",
    tableId: "main.flights",
    mapping: {
      columns: [
        { type: "uuid", name: "id" },
        { type: "datetime", name: "received_at" },
        { type: "path", name: "origin", path: "origin", rawString: true },
        { type: "body", name: "body" },
      ],
    },
  },
};
export const SOURCES = "/v1/branches/default/sources";
export const SINKS = `${SOURCES}/flights/sinks`;

export interface Json {
  readonly [name: string]: unknown;
}

/** What stands at a path of members; undefined when nothing does. */
export function at(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>((inner, name) => (inner as Json | undefined)?.[name], value);
}

export class ApiHarness {
  app!: FastifyInstance;
  mirror!: DefinitionMirror;
  repository!: DefinitionRepository;
  prepared: { tableId: string; columns: readonly Column[] }[] = [];
  refusePrepare: WireError | undefined;
  /** What the target says against any table. */
  tableProblem: string | undefined;
  readonly #closers: (() => Promise<unknown>)[] = [];

  async open(): Promise<void> {
    const clock = systemClock;
    const random = seededRandom("api");
    const store = await openMemoryStore(clock, random);
    const ports = { store, secrets: plainSecrets, clock, random, logger: silentLogger };
    this.mirror = new DefinitionMirror(ports);
    const stop = new AbortController();
    await this.mirror.load(never);
    const running = this.mirror.run(stop.signal);
    this.repository = new DefinitionRepository(ports);
    const tasks = new TaskStore(ports);
    this.app = fastify();
    await this.app.register(
      apiRoutes({
        repository: this.repository,
        tasks,
        statistics: { total: () => ({ total: null, levels: {} }) },
        target: {
          check: () => Promise.resolve(this.tableProblem),
          prepare: (tableId, columns) => {
            if (this.refusePrepare !== undefined) return Promise.reject(this.refusePrepare);
            this.prepared.push({ tableId, columns });
            return Promise.resolve();
          },
        },
        settled: (revision, signal) => this.mirror.waitForRevision(revision, signal),
        urls: () => ({ api: "http://api.test", httpSource: "http://in.test" }),
        random,
        logger: silentLogger,
        signal: never,
      }),
    );
    this.#closers.push(
      () => this.app.close(),
      () => tasks.close(),
      async () => {
        stop.abort();
        await running;
      },
      () => store.close(),
    );
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
  }

  async call(
    method: "GET" | "POST",
    url: string,
    payload?: unknown,
  ): Promise<{ status: number; body: Json }> {
    const response = await this.app.inject({
      method,
      url,
      ...(payload === undefined ? {} : { payload: payload as object }),
    });
    assert.match(String(response.headers["x-request-id"]), /^[0-9A-Za-z]{15}$/);
    return { status: response.statusCode, body: response.json<Json>() };
  }
}
