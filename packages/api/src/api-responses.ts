// Bodies of the configuration API (specification 1.7, 1.8, 1.13), made from the definitions.
import {
  versionText,
  withoutPassword,
  type Change,
  type Page,
  type PageRequest,
  type SinkDefinition,
  type SinkKey,
  type SourceDefinition,
  type SourceKey,
  type Version,
} from "@millrace/ingest";
import type { TaskRecord } from "./task-store.ts";

/** Addresses that answers name; known only once the listeners are. */
export interface ApiUrls {
  /** Of the API, without a slash at the end. */
  readonly api: string;
  /** Of the HTTP source. */
  readonly httpSource: string;
}

export interface PageBody {
  readonly limit: number;
  readonly totalCount: number;
  readonly afterId: string;
  readonly lastId: string;
}

export function sourceBody(source: SourceDefinition, urls: ApiUrls): object {
  const { projectId, branchId, sourceId, type, name, description } = source;
  const key = { projectId, branchId, sourceId };
  const addresses = addressBody(source, urls);
  return { ...key, type, name, description, ...addresses, ...signatureBody(source), ...historyBody(source) };
}

function signatureBody({ signature }: SourceDefinition): object {
  if (signature === undefined) return {};
  const { scheme, toleranceSeconds } = signature;
  return { signature: { scheme, toleranceSeconds } };
}

function addressBody({ projectId, sourceId, type, secret }: SourceDefinition, urls: ApiUrls): object {
  switch (type) {
    case "http":
      return { http: { url: `${urls.httpSource}/stream/${projectId}/${sourceId}/${secret}` } };
    case "otlp": {
      const baseUrl = `${urls.httpSource}/otlp/${projectId}/${sourceId}`;
      return { otlp: { url: `${baseUrl}/${secret}`, baseUrl, secret } };
    }
  }
}

export function sinkBody(sink: SinkDefinition): object {
  const { projectId, branchId, sourceId, sinkId, type, name, description, settings = {} } = sink;
  const { allowedSignals } = sink;
  const table = withoutPassword(sink.table);
  const key = { projectId, branchId, sourceId, sinkId };
  const signals = allowedSignals === undefined ? {} : { allowedSignals };
  return { ...key, type, name, description, ...signals, table, settings, ...historyBody(sink) };
}

function historyBody(entity: {
  readonly version: Version;
  readonly created: Change;
  readonly disabled?: Change;
  readonly deleted?: Change;
}): object {
  const { version, created, disabled, deleted } = entity;
  return {
    version,
    created,
    ...(disabled === undefined ? {} : { disabled }),
    ...(deleted === undefined ? {} : { deleted }),
  };
}

export function sourcesBody(
  branch: Pick<SourceKey, "projectId" | "branchId">,
  page: Page<SourceDefinition>,
  request: PageRequest,
  urls: ApiUrls,
): object {
  const sources = page.items.map((source) => sourceBody(source, urls));
  const { projectId, branchId } = branch;
  return { projectId, branchId, page: pageBody(page, request, page.items.at(-1)?.sourceId), sources };
}

export function sinksBody(source: SourceKey, page: Page<SinkDefinition>, request: PageRequest): object {
  const { projectId, branchId, sourceId } = source;
  const body = pageBody(page, request, page.items.at(-1)?.sinkId);
  return { projectId, branchId, sourceId, page: body, sinks: page.items.map(sinkBody) };
}

/** @param ids of the source, or of the sink, whose versions they are */
export function versionsBody(
  ids: SourceKey | SinkKey,
  page: Page<{ readonly version: Version }>,
  request: PageRequest,
): object {
  const versions = page.items.map(({ version }) => version);
  const last = versions.at(-1);
  const lastId = last === undefined ? undefined : versionText(last.number);
  return { ...ids, page: pageBody(page, request, lastId), versions };
}

export function pageBody(page: Page<unknown>, request: PageRequest, lastId: string | undefined): PageBody {
  return {
    limit: request.limit,
    totalCount: page.totalCount,
    afterId: request.afterId,
    lastId: lastId ?? "",
  };
}

export function taskBody(task: TaskRecord, urls: ApiUrls): object {
  const { taskId, type, status, createdAt, finishedAt, durationMs, result, error, outputs } = task;
  return {
    taskId,
    type,
    url: `${urls.api}/v1/tasks/${taskId}`,
    status,
    isFinished: status !== "processing",
    createdAt,
    ...(finishedAt === undefined ? {} : { finishedAt }),
    ...(durationMs === undefined ? {} : { duration: durationMs }),
    ...(result === undefined ? {} : { result }),
    ...(error === undefined ? {} : { error }),
    ...(outputs === undefined ? {} : { outputs }),
  };
}
