// What tests do at a platform's doors: sources with sinks, queries, journals and their fragments.
import assert from "node:assert/strict";
import type { Endpoints } from "./endpoints.ts";
import { ask, post, type Answer } from "./test-http.ts";
import { until } from "./test-platform.ts";

export type Headers = Readonly<Record<string, string>>;
export type Row = Readonly<Record<string, unknown>>;

export interface Column {
  readonly type: "uuid" | "datetime" | "ip" | "body" | "headers" | "path" | "template";
  readonly name: string;
  readonly template?: { readonly language: "jsonnet" | "jsonata"; readonly content: string };
  readonly path?: string;
  readonly rawString?: boolean;
  readonly defaultValue?: string;
}

/** A text column with the value at `name`. */
export function pathColumn(name: string): Column {
  return { type: "path", name, path: name, rawString: true };
}

/** Creates source `id` with a sink of the same name into `main.<id>`. @returns the source's URL */
export async function createStream(
  endpoints: Endpoints,
  id: string,
  columns: readonly Column[],
  headers: Headers = {},
): Promise<string> {
  const source = await createBoth(endpoints, { id, type: "http", columns }, headers);
  return (source["http"] as { url: string }).url;
}

/** The same of OTLP. @returns the addresses and the secret of the source */
export async function createOtlpStream(
  endpoints: Endpoints,
  id: string,
  columns: readonly Column[],
): Promise<{ readonly url: string; readonly baseUrl: string; readonly secret: string }> {
  const source = await createBoth(endpoints, { id, type: "otlp", columns }, {});
  return source["otlp"] as { url: string; baseUrl: string; secret: string };
}

/** Creates an HTTP source without sinks. @returns its URL */
export async function createSource(endpoints: Endpoints, id: string): Promise<string> {
  const source = await createOne(endpoints, { id, type: "http" }, {});
  return (source["http"] as { url: string }).url;
}

async function createBoth(
  endpoints: Endpoints,
  { id, type, columns }: { readonly id: string; readonly type: string; readonly columns: readonly Column[] },
  headers: Headers,
): Promise<Row> {
  const source = await createOne(endpoints, { id, type }, headers);
  const table = { type: "duckdb", tableId: `main.${id}`, mapping: { columns } };
  await createSink(endpoints, { sourceId: id, sinkId: id }, table, headers);
  return source;
}

async function createOne(
  endpoints: Endpoints,
  { id, type }: { readonly id: string; readonly type: string },
  headers: Headers,
): Promise<Row> {
  const sources = sourcesUrl(endpoints);
  await finished(endpoints, await post(sources, { type, name: id, sourceId: id }, headers), headers);
  const source = await ask(`${sources}/${id}`, { headers });
  assert.equal(source.status, 200, source.text);
  return source.json();
}

/** @param table of the request */
export async function createSink(
  endpoints: Endpoints,
  { sourceId, sinkId }: { readonly sourceId: string; readonly sinkId: string },
  table: object,
  headers: Headers = {},
): Promise<void> {
  const body = { type: "table", name: sinkId, sinkId, table };
  const sink = await post(`${sourcesUrl(endpoints)}/${sourceId}/sinks`, body, headers);
  await finished(endpoints, sink, headers);
}

export function sourcesUrl(endpoints: Endpoints): string {
  return `${endpoints.api}/v1/branches/default/sources`;
}

/** The source's URL in this life of the platform: ports may have changed. */
export function atDoor(endpoints: Endpoints, sourceUrl: string): string {
  return endpoints["http-source"] + new URL(sourceUrl).pathname;
}

/** Waits for the task of an answer, which must succeed. */
export async function finished(endpoints: Endpoints, answer: Answer, headers: Headers = {}): Promise<void> {
  assert.equal(answer.status, 202, answer.text);
  let task = answer.json() as { isFinished: boolean; url: string; error?: string };
  await until("the task has finished", 30_000, async () => {
    if (task.isFinished) return true;
    task = (await ask(endpoints.api + new URL(task.url).pathname, { headers })).json() as typeof task;
    return task.isFinished;
  });
  assert.equal(task.error, undefined);
}

/** The rows of a query. */
export async function sql(
  endpoints: Endpoints,
  query: string,
  headers: Headers = {},
): Promise<readonly Row[]> {
  const answer = await post(`${endpoints.warehouse}/sql`, { query }, headers);
  assert.equal(answer.status, 200, `${query}: ${answer.text}`);
  return (answer.json() as { rows: readonly Row[] }).rows;
}

export async function countRows(endpoints: Endpoints, table: string, headers: Headers = {}): Promise<number> {
  const [row] = await sql(endpoints, `select count(*) as n from ${table}`, headers);
  return Number(row?.["n"]);
}

/** Waits until a table has exactly `rows` rows; more than that is a failure at once. */
export async function waitForRows(
  endpoints: Endpoints,
  table: string,
  rows: number,
  limitMs = 30_000,
  headers: Headers = {},
): Promise<void> {
  await until(`${table} has ${rows} rows`, limitMs, async () => {
    const count = await countRows(endpoints, table, headers);
    assert.ok(count <= rows, `${table} has ${count} rows, and only ${rows} were accepted`);
    return count === rows;
  });
}

/** So long nothing may be behind before what is not loaded is taken for rows that are doubled. */
const NOTHING_BEHIND_MS = 10_000;

/**
 * Waits until a table has every row that stands in the partitions of its sink. What a partition ends with may be frames
 * that were sent twice: they hold no rows, and nothing is loaded for them.
 */
export async function waitForLoaded(endpoints: Endpoints, table: string, limitMs = 60_000): Promise<void> {
  const [, id = ""] = table.split(".");
  const partitions = (await listJournals(endpoints)).filter(
    ({ spec: { name } }) =>
      name.startsWith("stream/") && name.includes(`/${id}/`) && !name.endsWith("/dead-letters"),
  );
  assert.ok(partitions.length > 0, `${table} has partitions`);
  for (const { spec } of partitions) {
    const head = await headOf(endpoints, spec.name);
    const query =
      `select coalesce(max(loaded_end), 0) as n from "_millrace"."loaded" ` +
      `where "table" = '${table}' and journal = '${spec.name}'`;
    let behindMs = performance.now();
    await until(`${table} has all of ${spec.name}`, limitMs, async () => {
      const [row] = await sql(endpoints, query);
      if (Number(row?.["n"]) >= head) return true;
      if ((await lagSeconds(endpoints, spec.name)) !== 0) behindMs = performance.now();
      return performance.now() - behindMs >= NOTHING_BEHIND_MS;
    });
  }
}

/** Age of the oldest record of a partition's sink that is not in its table. */
async function lagSeconds(endpoints: Endpoints, partition: string): Promise<number | undefined> {
  const [, , , source, sink] = partition.split("/");
  const path = `/v1/branches/default/sources/${source}/sinks/${sink}/statistics/total`;
  const { status, text } = await ask(endpoints.api + path);
  return status === 200 ? (JSON.parse(text) as { lag: { seconds: number } }).lag.seconds : undefined;
}

export interface Fragment {
  readonly begin: number;
  readonly end: number;
  readonly isPersisted: boolean;
}

/** Messages of a REST call at the broker. */
async function rest(endpoints: Endpoints, method: string, body: unknown): Promise<readonly Row[]> {
  const answer = await post(`${endpoints.broker}/v1/journals/${method}`, body);
  assert.equal(answer.status, 200, answer.text);
  return answer.text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Row);
}

interface ListedJournal {
  readonly spec: { readonly name: string; readonly fragment: Readonly<Record<string, unknown>> };
  readonly modRevision: string;
}

export async function listJournals(endpoints: Endpoints): Promise<readonly ListedJournal[]> {
  const messages = await rest(endpoints, "list", {});
  return messages.flatMap(
    (message) => (message["result"] as { journals: readonly ListedJournal[] }).journals,
  );
}

export async function listFragments(endpoints: Endpoints, journal: string): Promise<readonly Fragment[]> {
  const all: Fragment[] = [];
  for (let nextPageToken = "0"; ;) {
    const [answer] = await rest(endpoints, "fragments", { journal, nextPageToken });
    const page = answer as { nextPageToken: string; fragments: readonly { spec: Record<string, string> }[] };
    for (const { spec } of page.fragments) {
      const isPersisted = Number(spec["modTime"]) > 0;
      all.push({ begin: Number(spec["begin"]), end: Number(spec["end"]), isPersisted });
    }
    ({ nextPageToken } = page);
    if (nextPageToken === "0") return all;
  }
}

/** Write head of a journal. */
export async function headOf(endpoints: Endpoints, journal: string): Promise<number> {
  const answer = await ask(`${endpoints.broker}/${journal}?offset=-1`);
  assert.equal(answer.status, 416, answer.text);
  return Number(answer.headers["x-write-head"] ?? 0);
}

/**
 * Makes every journal roll its open fragment and waits until the store has all there is: fragments of the least length,
 * one append of more than that to each journal, and then one of nothing, which closes what is full. Only their source
 * appends to partitions: theirs are closed by the least flush interval.
 * @param fill appends at least 2 KiB to every journal, each in one go
 */
export async function persistEverything(endpoints: Endpoints, fill: () => Promise<void>): Promise<void> {
  const changes = (await listJournals(endpoints)).map(({ spec, modRevision }) => ({
    expectModRevision: modRevision,
    upsert: { ...spec, fragment: { ...spec.fragment, length: "1024", flushInterval: "60s" } },
  }));
  await rest(endpoints, "apply", { changes });
  await fill();
  for (const { spec } of await listJournals(endpoints)) {
    const head = await headOf(endpoints, spec.name);
    const pulse = await ask(`${endpoints.broker}/${spec.name}`, { method: "PUT", body: "" });
    assert.equal(pulse.status, spec.name.startsWith("stream/") ? 403 : 204, pulse.text);
    let fragments: readonly Fragment[] = [];
    const claim = () => `the store has ${spec.name} up to ${head}: ${JSON.stringify(fragments.slice(-5))}`;
    await until(claim, 100_000, async () => {
      fragments = await listFragments(endpoints, spec.name);
      return head === 0 || fragments.some(({ end, isPersisted }) => isPersisted && end === head);
    });
  }
}
