// The metrics of a real platform that has done one of each: what docs/metrics.md promises for the names of Keboola's
// service is there, and has values.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { ask, post } from "./test-http.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";
import { createStream, pathColumn, waitForRows } from "./test-streams.ts";

const DOC = new URL("../../../docs/metrics.md", import.meta.url);
/** Only of a platform with an etcd. */
const OF_ETCD = /^millrace_etcd_/;
const OF_LINUX = /^process_\w+_fds$/;
/** Without a failure there is nothing to count. */
const OF_FAILURES = ["millrace_storage_failures_total"];

let platform: TestPlatform;
let door = "";
before(async () => {
  platform = await TestPlatform.start(scratch());
  door = await createStream(platform.endpoints, "measured", [pathColumn("n")]);
});
after(() => platform.stop());

/** Samples of a scrape by their names, without labels. */
async function scrape(): Promise<{ text: string; types: Map<string, string>; sampled: Set<string> }> {
  const { text } = await ask(`${platform.endpoints.api}/metrics`);
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]));
  const sampled = new Set([...text.matchAll(/^([a-z_]+)(?:\{.*\})? \S+$/gm)].map(([, name]) => name!));
  return { text, types, sampled };
}

/** Our names in the table, in the order of its rows. */
function promised(): readonly string[] {
  const doc = readFileSync(DOC, "utf8");
  const section = /### By the names of Keboola's service\n(.*?)\n#/s.exec(doc)?.[1] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  assert.ok(rows.length > 20, "the table is there");
  return rows.flatMap((row) =>
    [...row.split("|")[2]!.matchAll(/`((?:millrace|process|gazette)_\w+)`/g)].map((m) => m[1]!),
  );
}

/** The value of a sample that begins so; undefined without one. */
function valueOf(text: string, series: string): number | undefined {
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

test("metrics: each name of the table -> declared, and with a sample", async () => {
  assert.equal((await post(door, { n: 1 })).status, 200);
  await waitForRows(platform.endpoints, "main.measured", 1);
  const wanted = promised().filter((name) => {
    return !OF_ETCD.test(name) && (process.platform === "linux" || !OF_LINUX.test(name));
  });
  const missing = async (): Promise<readonly string[]> => {
    const { types, sampled } = await scrape();
    return wanted.filter((name) => {
      const sample = types.get(name) === "histogram" ? `${name}_count` : name;
      return OF_FAILURES.includes(name) ? !types.has(name) : !sampled.has(sample);
    });
  };
  let last: readonly string[] = wanted;
  await until("all are there", 20_000, async () => (last = await missing()).length === 0).catch(
    () => undefined,
  );
  assert.deepEqual(last, []);
});

test("requests to a source: by type and error, with the bytes of their bodies", async () => {
  const of = (name: string, hasError: boolean): string => `${name}{type="http",has_error="${hasError}"}`;
  const count = "millrace_ingest_request_seconds_count";
  const bytes = "millrace_ingest_received_bytes_total";
  const before = (await scrape()).text;
  assert.equal((await post(door, { n: 22 })).status, 200);
  assert.equal((await post(door, {})).status, 422);
  assert.equal((await post(`${door}x`, { n: 1 })).status, 404);
  const after = (await scrape()).text;
  const more = (series: string): number => valueOf(after, series)! - (valueOf(before, series) ?? 0);
  assert.deepEqual([more(of(count, false)), more(of(bytes, false))], [1, '{"n":22}'.length]);
  assert.deepEqual([more(of(count, true)), more(of(bytes, true))], [1, "{}".length]);
  assert.equal(more('millrace_ingest_record_seconds_count{code="OK"}'), 1);
});

test("the API's requests: by the pattern of the route and status, whatever is asked for", async () => {
  const { api } = platform.endpoints;
  const route = "GET /v1/branches/:branchId/sources/:sourceId";
  for (const id of ["nobody", "no-one"])
    assert.equal((await ask(`${api}/v1/branches/default/sources/${id}`)).status, 404);
  for (const path of ["/secret-name", "/v1/other-name"]) await ask(`${api}${path}`);
  const { text } = await scrape();
  const count = "millrace_api_request_seconds_count";
  assert.equal(valueOf(text, `${count}{route="${route}",status="404"}`), 2);
  assert.equal(valueOf(text, `${count}{route="none",status="404"}`), 2);
  assert.doesNotMatch(text, /nobody|secret-name|other-name/);
  const task = 'millrace_api_task_seconds_count{type="api.create.sink",outcome="success"}';
  assert.equal(valueOf(text, task), 1);
});
