import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import { utf8, WireError } from "@millrace/base";
import { LostBytes, type ListedLetter } from "@millrace/ingest";

import { ApiHarness, at, FLIGHTS, SINK, SINKS, SOURCES, type Json } from "./api-testkit.ts";

const LETTERS = `${SINKS}/flights/dead-letters`;

function letter(id: string, body: Uint8Array): ListedLetter {
  const record = {
    receivedAt: "2026-01-02T03:04:05.678Z",
    ip: "192.0.2.1",
    kind: "json",
    headers: {},
  } as const;
  return { id, ...record, body, version: 1, status: 422, column: "c", reason: "No.", attempts: 1 };
}

let api: ApiHarness;
beforeEach(async () => {
  api = new ApiHarness();
  await api.open();
  await api.change("POST", SOURCES, FLIGHTS);
  await api.change("POST", SINKS, SINK);
});
afterEach(() => api.close());

describe("dead letters of the API", () => {
  test("list: texts and bytes; long ones are cut before the character that does not fit", async () => {
    const long = utf8("é".repeat(2047) + "a" + "é".repeat(9));
    const bytes = Uint8Array.of(0xff, 0);
    api.letters.list = (_sink, page) => {
      assert.deepEqual(page, { afterId: "1-2", limit: 3 });
      return Promise.resolve({ letters: [letter("7-0", long), letter("7-1", bytes)], totalCount: 5 });
    };
    const body = await api.get(`${LETTERS}?afterId=1-2&limit=3`);
    assert.deepEqual(body["page"], { limit: 3, totalCount: 5, afterId: "1-2", lastId: "7-1" });
    const [first, second] = body["deadLetters"] as Json[];
    assert.equal(first!["body"], "é".repeat(2047) + "a");
    assert.deepEqual([first!["isCut"], first!["bodyBytes"]], [true, long.length]);
    assert.deepEqual(
      [second!["bodyBase64"], second!["body"], second!["isCut"]],
      ["/wA=", undefined, undefined],
    );
  });

  test("aggregation: each sink has the number of its letters, if it ever had any", async () => {
    await api.change("POST", SINKS, { ...SINK, sinkId: "none" });
    const counted = { count: 3, bytes: 70 };
    api.letters.counts = (source, sinks) => {
      assert.equal(source.sourceId, "flights");
      assert.deepEqual(
        sinks.map(({ sinkId }) => sinkId),
        ["flights", "none"],
      );
      return Promise.resolve(new Map([["flights", counted]]));
    };
    const [source] = (await api.get("/v1/branches/default/aggregation/sources"))["sources"] as Json[];
    const letters = (source!["sinks"] as Json[]).map((sink) => at(sink, "statistics", "deadLetters"));
    assert.deepEqual(letters, [counted, undefined]);
  });

  test("get: the whole body; an ID that is none -> 404, in a list 400", async () => {
    const long = utf8("é".repeat(4000));
    api.letters.get = (_sink, id) => Promise.resolve(id === "7-0" ? letter(id, long) : undefined);
    api.letters.list = () => Promise.reject(new WireError("INVALID_ARGUMENT", 'there is no dead letter "x"'));
    assert.equal(String((await api.get(`${LETTERS}/7-0`))["body"]).length, 4000);
    const missing = await api.call("GET", `${LETTERS}/7-1`);
    assert.deepEqual([missing.status, missing.body["error"]], [404, "stream.api.deadLetterNotFound"]);
    const listed = await api.call("GET", `${LETTERS}?afterId=x`);
    assert.deepEqual([listed.status, listed.body["message"]], [400, 'There is no dead letter "x".']);
  });

  test("replay: a task whose outputs say what became of them; of a disabled sink -> 400", async () => {
    api.letters.replay = () => Promise.resolve({ replayed: 3, refused: 2, isDone: false });
    const task = await api.change("POST", `${LETTERS}/replay`);
    assert.deepEqual([at(task, "outputs", "replayed"), at(task, "outputs", "refused")], [3, 2]);
    assert.match(
      String(task["result"]),
      /: 3 became rows, 2 were refused again\. The time was over: more are left\.$/,
    );
    await api.change("PUT", `${SINKS}/flights/disable`);
    const refused = await api.call("POST", `${LETTERS}/replay`);
    assert.deepEqual([refused.status, refused.body["error"]], [400, "stream.api.badRequest"]);
  });

  test("lost letters -> list, count and replay say the way on", async () => {
    const lost = (): Promise<never> => Promise.reject(new LostBytes("CORRUPT", "lost: reset-head --at 7"));
    Object.assign(api.letters, { list: lost, count: lost, replay: lost });
    for (const path of [LETTERS, `${SINKS}/flights/statistics/total`]) {
      const { status, body } = await api.call("GET", path);
      const { error, message } = body;
      assert.deepEqual([status, error, message], [500, "stream.api.corrupt", "Lost: reset-head --at 7."]);
    }
    const { body: failed } = await api.call("POST", `${LETTERS}/replay`);
    assert.match(String(failed["error"]), /^lost: reset-head --at 7/i);
  });

  test("total statistics: how many wait, once there were any", async () => {
    const total = `${SINKS}/flights/statistics/total`;
    assert.equal((await api.get(total))["deadLetters"], undefined);
    api.letters.count = () => Promise.resolve({ count: 4, bytes: 500 });
    assert.deepEqual((await api.get(total))["deadLetters"], { count: 4, bytes: 500 });
  });
});
