// The configuration API `/v1` as a fastify plugin: sources, sinks, statistics, tasks. Who may call it is the server's
// matter (the guard of the address it is mounted at).
import { RequestIds, WireError, type Logger, type Random } from "@millrace/base";
import {
  DEFINITION_LIMITS,
  effectiveSink,
  sinkPath,
  type By,
  type CreateOutcome,
  type DefinitionRepository,
  type SinkDefinition,
  type SinkKey,
  type SourceDefinition,
  type SourceKey,
  type Target,
} from "@millrace/ingest";
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from "fastify";
import { ApiError, envelopeOf } from "./api-errors.ts";
import { parseBranch, parseCreateSink, parseCreateSource, parsePage } from "./api-requests.ts";
import { sinkBody, sinksBody, sourceBody, sourcesBody, taskBody, type ApiUrls } from "./api-responses.ts";
import type { TaskOutputs, TaskRecord, TaskStore, TaskSuccess } from "./task-store.ts";

/** Who answers for statistics: the pipeline. */
export interface StatisticsPort {
  /** Body of `…/statistics/total`. */
  total(key: SinkKey): object | Promise<object>;
}

export interface ApiDependencies {
  readonly repository: DefinitionRepository;
  readonly tasks: TaskStore;
  readonly statistics: StatisticsPort;
  readonly target: Pick<Target, "check" | "prepare">;
  /** Resolves once this process's doors know what the store held at `revision`. */
  readonly settled: (revision: number, signal: AbortSignal) => Promise<void>;
  readonly urls: () => ApiUrls;
  readonly random: Random;
  readonly logger: Logger;
  /** Aborts when the API shuts down. */
  readonly signal: AbortSignal;
}

/** The only project there is. */
const PROJECT_ID = 1;
/** A task that is done by then is answered as finished. */
const TASK_WAIT_MS = 1000;
/** An API request's body: a hundred columns with long paths fit. */
const BODY_BYTES_MAX = 1024 * 1024;
const BY: By = { type: "system" };
const ID_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Routes of `/v1` and `/health-check`. */
export function apiRoutes(deps: ApiDependencies): FastifyPluginAsync {
  return async (app) => {
    app.setErrorHandler((error, _request, reply) => {
      const envelope = envelopeOf(error, `millrace-api-${randomText(deps.random, 15)}`);
      if (envelope.exceptionId !== undefined) {
        deps.logger.error("api-request-failed", { exceptionId: envelope.exceptionId, error });
      }
      if (error instanceof WireError && error.retry === "same-request") void reply.header("retry-after", "1");
      void reply.code(envelope.statusCode).send(envelope);
    });
    const ids = new RequestIds(deps.random);
    app.addHook("onRequest", async (_request, reply) => {
      if (!reply.raw.hasHeader("x-request-id")) void reply.header("x-request-id", ids.next());
    });
    const notFound = (request: FastifyRequest): never => {
      const path = request.url.split("?", 1)[0] ?? "";
      throw new ApiError(404, "endpointNotFound", `No endpoint found for path "${path}"`);
    };
    app.setNotFoundHandler(notFound);
    app.get("/", (_request, reply) => reply.redirect("/v1", 301));
    app.get("/health-check", (_request, reply) => reply.type("text/plain").send("OK"));
    await app.register(
      async (v1) => {
        v1.setNotFoundHandler(notFound);
        const documentation = (): string => `${deps.urls().api}/v1/documentation`;
        v1.get("/", () => ({ api: "stream", documentation: documentation() }));
        sourceRoutes(v1, deps);
        sinkRoutes(v1, deps);
        v1.get("/tasks/*", (request) => getTask(request, deps));
      },
      { prefix: "/v1" },
    );
  };
}

function sourceRoutes(app: FastifyInstance, deps: ApiDependencies): void {
  const path = "/branches/:branchId/sources";
  app.post(path, { bodyLimit: BODY_BYTES_MAX }, async (request, reply) => {
    const branch = branchOf(request);
    const input = { ...branch, ...parseCreateSource(request.body) };
    if ((await deps.repository.source(input, deps.signal)) !== undefined) throw sourceExists(input.sourceId);
    const others = await deps.repository.sources(branch, { afterId: "", limit: 1 }, deps.signal);
    checkCount("source", others.totalCount, DEFINITION_LIMITS.sourcesPerBranchMax);
    const objectKey = `${input.branchId}/${input.sourceId}`;
    const task = await startTask(deps, "api.create.source", objectKey, async (signal) => {
      const outcome = await deps.repository.createSource(input, BY, signal);
      const source = created(outcome, "source", () => sourceExists(input.sourceId));
      await deps.settled(source.revision, signal);
      const url = `${deps.urls().api}/v1/branches/${input.branchId}/sources/${input.sourceId}`;
      const { projectId, branchId, sourceId } = input;
      return success("Source", { url, projectId, branchId, sourceId });
    });
    return reply.code(202).send(taskBody(task, deps.urls()));
  });
  app.get(path, (request) => listSources(request, deps));
  app.get(`${path}/:sourceId`, async (request) => sourceBody(await sourceOf(request, deps), deps.urls()));
}

function sinkRoutes(app: FastifyInstance, deps: ApiDependencies): void {
  const path = "/branches/:branchId/sources/:sourceId/sinks";
  app.post(path, { bodyLimit: BODY_BYTES_MAX }, async (request, reply) => {
    const source = await sourceOf(request, deps);
    const input = { ...keyOf(source), ...parseCreateSink(request.body) };
    if ((await deps.repository.sink(input, deps.signal)) !== undefined) throw sinkExists(input.sinkId);
    const others = await deps.repository.sinks(source, { afterId: "", limit: 1 }, deps.signal);
    checkCount("sink", others.totalCount, DEFINITION_LIMITS.sinksPerSourceMax);
    // Records of a sink whose table cannot be made would be acknowledged and never become rows.
    const problem = await deps.target.check(input.tableId, input.columns, deps.signal);
    if (problem !== undefined) throw new ApiError(400, "badRequest", problem);
    const objectKey = sinkPath(input).slice(`${input.projectId}/`.length);
    const task = await startTask(deps, "api.create.sink", objectKey, async (signal) => {
      await deps.target.prepare(input.tableId, input.columns, signal);
      const outcome = await deps.repository.createSink(input, BY, signal);
      const sink = created(outcome, "sink", () => sinkExists(input.sinkId));
      await deps.settled(sink.revision, signal);
      const { projectId, branchId, sourceId, sinkId } = input;
      const url = `${deps.urls().api}/v1/branches/${branchId}/sources/${sourceId}/sinks/${sinkId}`;
      return success("Sink", { url, projectId, branchId, sourceId, sinkId });
    });
    return reply.code(202).send(taskBody(task, deps.urls()));
  });
  app.get(path, (request) => listSinks(request, deps));
  app.get(`${path}/:sinkId`, async (request) => sinkBody(await sinkOf(request, deps)));
  app.get(`${path}/:sinkId/statistics/total`, async (request) =>
    deps.statistics.total(await sinkOf(request, deps)),
  );
}

async function listSources(request: FastifyRequest, deps: ApiDependencies): Promise<object> {
  const page = parsePage(request.query as Record<string, unknown>);
  const branch = branchOf(request);
  return sourcesBody(branch, await deps.repository.sources(branch, page, deps.signal), page, deps.urls());
}

async function listSinks(request: FastifyRequest, deps: ApiDependencies): Promise<object> {
  const page = parsePage(request.query as Record<string, unknown>);
  const source = await sourceOf(request, deps);
  const { items, totalCount } = await deps.repository.sinks(source, page, deps.signal);
  const inForce = { items: items.map((sink) => effectiveSink(sink, source)), totalCount };
  return sinksBody(keyOf(source), inForce, page);
}

async function getTask(request: FastifyRequest, deps: ApiDependencies): Promise<object> {
  const { "*": taskId } = request.params as { "*": string };
  const task = await deps.tasks.get(PROJECT_ID, taskId, deps.signal);
  if (task === undefined) throw new ApiError(404, "taskNotFound", `Task "${taskId}" not found`);
  return taskBody(task, deps.urls());
}

function startTask(
  deps: ApiDependencies,
  type: TaskRecord["type"],
  objectKey: string,
  work: (signal: AbortSignal) => Promise<TaskSuccess>,
): Promise<TaskRecord> {
  return deps.tasks.start({ projectId: PROJECT_ID, type, objectKey }, work, TASK_WAIT_MS, deps.signal);
}

function success(what: "Source" | "Sink", outputs: TaskOutputs): TaskSuccess {
  return { result: `${what} has been created successfully.`, outputs };
}

/** @throws {WireError} whose message is the task's error, unless it was created */
function created<T>(
  outcome: CreateOutcome<T>,
  what: "source" | "sink",
  exists: () => ApiError,
): { readonly entity: T; readonly revision: number } {
  switch (outcome.kind) {
    case "created":
      return outcome;
    case "exists":
      throw new WireError("CONFLICT", exists().message);
    case "limit":
      throw new WireError("CONFLICT", limitText(what, outcome.max));
    case "noSource":
      throw new WireError("NOT_FOUND", "The source is gone.");
  }
}

function branchOf(request: FastifyRequest): Pick<SourceKey, "projectId" | "branchId"> {
  const { branchId = "" } = request.params as Record<string, string>;
  return { projectId: PROJECT_ID, branchId: parseBranch(branchId) };
}

async function sourceOf(request: FastifyRequest, deps: ApiDependencies): Promise<SourceDefinition> {
  const { sourceId = "" } = request.params as Record<string, string>;
  const source = await deps.repository.source({ ...branchOf(request), sourceId }, deps.signal);
  if (source !== undefined) return source;
  throw new ApiError(404, "sourceNotFound", `Source "${sourceId}" not found in the branch`);
}

async function sinkOf(request: FastifyRequest, deps: ApiDependencies): Promise<SinkDefinition> {
  const source = await sourceOf(request, deps);
  const { sinkId = "" } = request.params as Record<string, string>;
  const sink = await deps.repository.sink({ ...keyOf(source), sinkId }, deps.signal);
  if (sink !== undefined) return effectiveSink(sink, source);
  throw new ApiError(404, "sinkNotFound", `Sink "${sinkId}" not found in the source`);
}

function keyOf({ projectId, branchId, sourceId }: SourceKey): SourceKey {
  return { projectId, branchId, sourceId };
}

function checkCount(what: "source" | "sink", count: number, max: number): void {
  if (count >= max) throw new ApiError(409, `${what}CountLimitReached`, limitText(what, max));
}

function limitText(what: "source" | "sink", max: number): string {
  const where = what === "source" ? "branch" : "source";
  return `${what} count limit reached in the ${where}, the maximum is ${max}.`;
}

function sourceExists(sourceId: string): ApiError {
  return new ApiError(409, "sourceAlreadyExists", `Source "${sourceId}" already exists in the branch`);
}

function sinkExists(sinkId: string): ApiError {
  return new ApiError(409, "sinkAlreadyExists", `Sink "${sinkId}" already exists in the source`);
}

function randomText(random: Random, length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) text += ID_LETTERS[random.below(ID_LETTERS.length)];
  return text;
}
