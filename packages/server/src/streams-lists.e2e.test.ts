// Lists of a real platform from its first request on, and what is told of several at once: lists of sources and the
// aggregation page by page, the aggregation with rows that were loaded, and statistics of all sinks of a source.
import assert from "node:assert/strict";
import { test } from "node:test";
import { at, ids, testApi, type Json, type TestApi } from "./test-api.ts";
import { post } from "./test-http.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";
import { createSource, createSink, createStream, pathColumn, waitForRows } from "./test-streams.ts";

const SOURCES = "/v1/branches/default/sources";
const AGGREGATION = "/v1/branches/default/aggregation/sources";
const COLUMNS = [{ type: "uuid", name: "id" } as const, pathColumn("n")];

async function onPlatform(use: (platform: TestPlatform, api: TestApi) => Promise<void>): Promise<void> {
  const platform = await TestPlatform.start(scratch());
  try {
    await use(
      platform,
      testApi(() => platform.endpoints),
    );
  } finally {
    await platform.stop();
  }
}

/** Pages that a list of these has, and what they must be. */
async function checkPages(api: TestApi, url: string, expected: readonly string[]): Promise<void> {
  const pages: readonly (readonly [query: string, begin: number, end: number])[] = [
    ["", 0, 5],
    ["?limit=2", 0, 2],
    [`?limit=2&afterId=${expected[1]}`, 2, 4],
    [`?limit=2&afterId=${expected[3]}`, 4, 5],
    [`?limit=2&afterId=${expected[4]}`, 5, 5],
    [`?afterId=${expected[2]}`, 3, 5],
  ];
  for (const [query, begin, end] of pages) {
    const list = await api.get(url + query);
    const found = expected.slice(begin, end);
    assert.deepEqual(ids(list["sources"], "sourceId"), found, `${url}${query}`);
    const page = [at(list, "page", "totalCount"), at(list, "page", "lastId")];
    assert.deepEqual(page, [expected.length, found.at(-1) ?? ""], `${url}${query}`);
  }
}

test("sources of a platform: none, five with rows: lists and aggregation by pages; deleted ones by pages", async () => {
  await onPlatform(async (platform, api) => {
    const { endpoints } = platform;
    for (const url of [SOURCES, `${SOURCES}/deleted`, AGGREGATION]) {
      const { sources, page } = await api.get(url);
      assert.deepEqual([sources, at(page, "totalCount"), at(page, "lastId")], [[], 0, ""], url);
    }
    const counts: Readonly<Record<string, number>> = { e: 5, c: 3, a: 1, d: 4, b: 2 };
    for (const [id, count] of Object.entries(counts)) {
      const url = await createStream(endpoints, id, COLUMNS);
      for (let n = 0; n < count; n++) assert.equal((await post(url, { n })).status, 200);
    }
    const all = ["a", "b", "c", "d", "e"];
    for (const id of all) await waitForRows(endpoints, `main.${id}`, counts[id]!);
    const statistics = async (): Promise<readonly Json[]> => {
      const { sources } = await api.get(AGGREGATION);
      return (sources as Json[]).map((source) => at(source, "sinks", "0", "statistics") as Json);
    };
    const expected = all.map((id) => counts[id]);
    await until("all are counted in their tables", 30_000, async () => {
      const found = (await statistics()).map((one) => at(one, "levels", "target", "recordsCount"));
      return JSON.stringify(found) === JSON.stringify(expected);
    });
    const told = await statistics();
    assert.deepEqual(
      told.map((one) => at(one, "total", "recordsCount")),
      expected,
    );
    const imported = told.map(({ files }) => (files as Json[]).filter(({ state }) => state === "imported"));
    const inFiles = imported.map((files) =>
      files.reduce((sum, file) => sum + Number(at(file, "statistics", "total", "recordsCount")), 0),
    );
    assert.deepEqual(inFiles, expected, "the records stand in the files that were imported");

    await checkPages(api, SOURCES, all);
    await checkPages(api, AGGREGATION, all);
    const { sources } = await api.get(`${AGGREGATION}?limit=2&afterId=b`);
    for (const [i, id] of ["c", "d"].entries()) {
      const [sink, ...more] = at(sources, String(i), "sinks") as Json[];
      assert.deepEqual([sink?.["sinkId"], more], [id, []]);
      assert.equal(at(sink, "statistics", "levels", "target", "recordsCount"), counts[id]);
    }

    for (const id of all) await api.change("DELETE", `${SOURCES}/${id}`);
    await checkPages(api, `${SOURCES}/deleted`, all);
    await api.change("PUT", `${SOURCES}/c/undelete`);
    assert.deepEqual(ids((await api.get(`${SOURCES}/deleted?limit=3`))["sources"], "sourceId"), [
      "a",
      "b",
      "d",
    ]);
    assert.deepEqual(ids((await api.get(SOURCES))["sources"], "sourceId"), ["c"]);
  });
});

test("statistics of a source: cleared -> those of all its sinks begin anew, and of no other source", async () => {
  await onPlatform(async (platform, api) => {
    const { endpoints } = platform;
    const url = await createSource(endpoints, "many");
    const sinks = ["x", "y", "z"];
    for (const sinkId of sinks) {
      const table = { type: "duckdb", tableId: `main.many_${sinkId}`, mapping: { columns: COLUMNS } };
      await createSink(endpoints, { sourceId: "many", sinkId }, table);
    }
    const other = await createStream(endpoints, "other", COLUMNS);
    for (const to of [url, other]) assert.equal((await post(to, { n: 1 })).status, 200);
    const totals = async (): Promise<readonly unknown[]> => {
      const paths = [...sinks.map((sinkId) => `many/sinks/${sinkId}`), "other/sinks/other"];
      const found = paths.map((path) => api.get(`${SOURCES}/${path}/statistics/total`));
      return (await Promise.all(found)).map(({ total }) => at(total ?? {}, "recordsCount"));
    };
    await until("the record is counted by all sinks", 30_000, async () => {
      return (await totals()).every((count) => count === 1);
    });
    assert.equal((await api.call("DELETE", `${SOURCES}/many/statistics/clear`)).status, 200);
    assert.deepEqual(await totals(), [undefined, undefined, undefined, 1]);
  });
});
