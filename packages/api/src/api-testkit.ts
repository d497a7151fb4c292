// The configuration API over a memory store, asked without sockets. For its tests.
import assert from "node:assert/strict";

import { MetricsRegistry, never, silentLogger, systemClock, TokenBook, type WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { localEvaluator } from "@millrace/jsonata/testkit";
import {
  DefinitionMirror,
  DefinitionRepository,
  ownsAll,
  plainSecrets,
  Purges,
  SourcePurge,
  systemTurns,
  WorkTurns,
  type Column,
  type SinkLag,
  type Target,
  type TargetSettings,
} from "@millrace/ingest";
import { modelBytes } from "@millrace/ingest/testkit";
import type { CoordinationStore } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import fastify, { type FastifyInstance } from "fastify";

import { errorAnswer } from "./answer-schemas.ts";
import type { ApiDependencies } from "./api-dependencies.ts";
import { pathRefusals } from "./api-errors.ts";
import { apiRoutes } from "./api-routes.ts";
import type { Operation } from "./operation.ts";
import { OPERATIONS } from "./operations.ts";
import { checkBody } from "./schema-check.ts";
import { ProjectTokens } from "./project-tokens.ts";
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
  store!: CoordinationStore;
  repository!: DefinitionRepository;
  tokens!: ProjectTokens;
  /** What is sent with every request. */
  headers: Readonly<Record<string, string>> = {};
  prepared: { tableId: string; columns: readonly Column[] }[] = [];
  /** What the dead letters of every sink are. */
  letters: ApiDependencies["deadLetters"] = {
    count: () => Promise.resolve(undefined),
    counts: () => Promise.resolve(new Map()),
    list: () => Promise.resolve({ letters: [], totalCount: 0 }),
    get: () => Promise.resolve(undefined),
    replay: () => Promise.resolve({ replayed: 0, refused: 0, isDone: true }),
  };
  /** Of every sink. */
  lag: SinkLag = { bytes: 0, ms: 0 };
  refusePrepare: WireError | undefined;
  /** Targets that were looked for. */
  asked: TargetSettings[] = [];
  /** What the next check of a table waits for. */
  held: Promise<void> | undefined;
  /** Why no target can be asked. */
  away: WireError | undefined;
  /** What the target says against any table. */
  tableProblem: string | undefined;
  /** What becomes of tables whose sinks are purged. */
  drop: (tableId: string) => Promise<void> = () => Promise.resolve();
  readonly book: TokenBook;
  readonly metrics = new MetricsRegistry();
  readonly #closers: (() => Promise<unknown>)[] = [];

  constructor(platformToken = "") {
    this.book = new TokenBook(platformToken);
  }

  async open(): Promise<void> {
    const clock = systemClock;
    const random = seededRandom("api");
    const store = await openMemoryStore(clock, random);
    this.store = store;
    const ports = { store, secrets: plainSecrets, clock, random, logger: silentLogger };
    this.mirror = new DefinitionMirror(ports);
    const stop = new AbortController();
    await this.mirror.load(never);
    const running = this.mirror.run(stop.signal);
    this.tokens = new ProjectTokens({ ...ports, book: this.book });
    await this.tokens.load(never);
    const following = this.tokens.run(stop.signal);
    this.repository = new DefinitionRepository(ports);
    const purges = new Purges({
      ...ports,
      ...modelBytes(clock, random),
      targets: { at: () => Promise.resolve({ drop: (tableId) => this.drop(tableId) }) },
      share: ownsAll,
    });
    const purging = purges.run(stop.signal);
    const tasks = new TaskStore({ ...ports, metrics: this.metrics });
    this.app = fastify({ frameworkErrors: pathRefusals(random.fork("paths")) });
    await this.app.register(
      apiRoutes({
        repository: this.repository,
        tasks,
        tokens: this.tokens,
        book: this.book,
        statistics: {
          total: () => ({ total: null, levels: {} }),
          lag: () => this.lag,
          files: () => [],
          clear: () => Promise.resolve(),
        },
        deadLetters: this.letters,
        evaluator: localEvaluator(),
        turns: new WorkTurns(systemTurns),
        targets: { at: (settings) => Promise.resolve(this.#target(settings)) },
        purge: new SourcePurge({ store, clock }),
        settled: (revision, signal) => this.mirror.waitForRevision(revision, signal),
        urls: () => ({ api: "http://api.test", httpSource: "http://in.test" }),
        clock,
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
        await following;
        await purging;
      },
      () => store.close(),
    );
  }

  #target(settings: TargetSettings): Pick<Target, "check" | "prepare"> {
    this.asked.push(settings);
    return {
      check: async () => {
        const { held } = this;
        this.held = undefined;
        await held;
        if (this.away !== undefined) throw this.away;
        return this.tableProblem;
      },
      prepare: (tableId, columns) => {
        if (this.refusePrepare !== undefined) return Promise.reject(this.refusePrepare);
        this.prepared.push({ tableId, columns });
        return Promise.resolve();
      },
    };
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
  }

  /** The answer, which must be what the table of operations says. */
  async call(method: Method, url: string, payload?: unknown): Promise<{ status: number; body: Json }> {
    const response = await this.app.inject({
      method,
      url,
      headers: this.headers,
      ...(payload === undefined ? {} : { payload: payload as object }),
    });
    assert.match(String(response.headers["x-request-id"]), /^[0-9A-Za-z]{15}$/);
    const answer = { status: response.statusCode, body: response.json<Json>() };
    const operation = operationAt(method, url);
    if (answer.status >= 400) assertForm(errorAnswer, answer.body);
    else if (operation !== undefined) {
      assert.equal(answer.status, operation.status);
      assertForm(operation.answer, answer.body);
    }
    return answer;
  }

  /** The task of a change, which must have succeeded. */
  async change(method: Method, url: string, payload?: unknown): Promise<Json> {
    const { status, body } = await this.call(method, url, payload);
    assert.deepEqual([status, body["status"]], [202, "success"], JSON.stringify(body));
    return body;
  }

  /** What a GET answers with 200. */
  async get(url: string): Promise<Json> {
    const { status, body } = await this.call("GET", url);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  }
}

export type Method = Operation["method"];

/** The operation that a request is for. */
export function operationAt(method: Method, url: string): Operation | undefined {
  const path = url.split("?", 1)[0] ?? "";
  const matching = OPERATIONS.filter((operation) => {
    const pattern = operation.path.replace(/\{\w+\*\}/, ".+").replace(/\{\w+\}/g, "[^/]+");
    return operation.method === method && new RegExp(`^/v1${pattern}$`).test(path);
  });
  // What is spelled out goes before a parameter.
  return matching.sort((a, b) => a.path.split("{").length - b.path.split("{").length)[0];
}

/** Nothing is missing, nothing is there that the schema does not know. */
function assertForm(schema: Operation["answer"], body: Json): void {
  assert.deepEqual(checkBody(schema, body), body);
}
