// Records that a sink cannot map, at a door whose source keeps dead letters.
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import { text, utf8, WireError } from "@millrace/base";

import { decodeLetter, type DeadLetter } from "./dead-letter.ts";
import type { Column } from "./definitions.ts";
import { DoorHarness } from "./http-source-testkit.ts";

const KEEPS = { "storage.level.local.deadLetters.enabled": true };
const COLUMNS: readonly Column[] = [{ type: "path", name: "p", path: "a" }];
const NDJSON = { "Content-Type": "application/x-ndjson" };

let door: DoorHarness;
beforeEach(async () => {
  door = await new DoorHarness().open({ sinks: [{ sinkId: "keeps", columns: COLUMNS, settings: KEEPS }] });
});
afterEach(() => door.close());

function letters(sinkId = "keeps"): DeadLetter[] {
  return door.frames.rows(`${sinkId}/dead-letters`).map((row) => decodeLetter(utf8(row), "letter"));
}

describe("dead letters at the door", () => {
  test("a record that cannot be mapped -> 200 OK, and a letter with all there is of it", async () => {
    const headers = { "X-A": "1", Authorization: "Bearer x", Cookie: "c", "X-StorageApi-Token": "t" };
    const answer = await door.post('{"b":"é"}', headers);
    assert.deepEqual([answer.status, answer.body], [200, "OK"]);
    assert.deepEqual(door.frames.rows("keeps/0"), []);
    const [letter] = letters();
    assert.deepEqual(
      { ...letter, body: text(letter!.body), receivedAt: "", headers: Object.keys(letter!.headers) },
      {
        receivedAt: "",
        ip: "127.0.0.1",
        kind: "json",
        headers: ["Content-Length", "Content-Type", "Host", "X-A"],
        body: '{"b":"é"}',
        version: 1,
        status: 422,
        column: "p",
        reason: 'Invalid value for column "p": path "a" not found in the body.',
        attempts: 1,
      },
    );
    const verbose = await door.post("{}", {}, `${door.path}?verbose=true`);
    assert.match(verbose.body, /"statusCode": 200,\n\s+"message": "dead-lettered"/);
    assert.match(door.metrics.render(), /millrace_ingest_dead_letters_total 2\n/);
  });

  test("bodies that cannot be looked into, no text, or too large a row -> letters with their reasons", async () => {
    await door.post("{");
    await door.post("a=%zz", { "Content-Type": "application/x-www-form-urlencoded" });
    await door.post(Uint8Array.of(0xff, 0), { "Content-Type": "text/plain" });
    await door.post("abc", { "Content-Type": "application/json; charset=utf-16le" });
    const found = letters().map(({ kind, status, problem = "", body }) => [kind, status, problem, [...body]]);
    assert.deepEqual(found, [
      ["json", 422, "invalid JSON: unexpected end, expected a key at position 1", [0x7b]],
      ["form", 422, 'invalid form data: invalid escape in "a=%zz"', [...utf8("a=%zz")]],
      ["opaque", 415, "", [0xff, 0]],
      ["json", 422, "the body is not utf-16le", [...utf8("abc")]],
    ]);
  });

  test("a letter is answered when it is on disk: refused when it cannot be written", async () => {
    door.frames.fail = (journal) =>
      journal === "keeps/dead-letters" ? new WireError("DISK_FULL", "full") : undefined;
    assert.equal((await door.post("{}")).status, 507);
    assert.equal((await door.post('{"a":1}')).status, 200);
    assert.deepEqual(letters(), []);
  });

  test("a batch -> rows and letters, all of them accepted, in their order", async () => {
    const path = `${door.path}?verbose=true`;
    const answer = await door.post('{"a":1}\n{"b":1}\n{\n{"a":2}\n{}\n', NDJSON, path);
    const body = JSON.parse(answer.body) as Record<string, unknown> & { sources: { sinks: object[] }[] };
    assert.deepEqual([answer.status, body["accepted"], body["rejectedCount"]], [200, 5, 0]);
    const sink = { sinkId: "keeps", statusCode: 200, message: "processed", accepted: 5, refused: 0 };
    assert.deepEqual(body.sources[0]!.sinks, [{ ...sink, deadLettered: 3 }]);
    assert.deepEqual(door.frames.rows("keeps/0"), ['"1"\n', '"2"\n']);
    assert.deepEqual(
      letters().map(({ body: bytes }) => text(bytes)),
      ['{"b":1}', "{", "{}"],
    );
  });

  test("a batch that another sink refuses -> neither rows nor letters of those records", async () => {
    await door.close();
    const strict: readonly Column[] = [{ type: "path", name: "q", path: "b" }];
    door = await new DoorHarness().open({
      sinks: [
        { sinkId: "keeps", columns: COLUMNS, settings: KEEPS },
        { sinkId: "strict", columns: strict },
      ],
    });
    const answer = await door.post('[{"a":1,"b":1},{"b":2},{"a":3},{}]');
    const body = JSON.parse(answer.body) as { accepted: number; rejected: { index: number }[] };
    assert.deepEqual([body.accepted, body.rejected.map(({ index }) => index)], [2, [2, 3]]);
    assert.deepEqual(door.frames.rows("strict/0"), ['"1"\n', '"2"\n']);
    assert.deepEqual(door.frames.rows("keeps/0"), ['"1"\n']);
    assert.deepEqual(
      letters().map(({ body: bytes }) => text(bytes)),
      ['{"b":2}'],
    );
  });

  test("text that the sink's target cannot have -> a letter, or refused; a sink beside takes it", async () => {
    await door.close();
    const connection = { host: "db.test", database: "d", user: "u" };
    const target = { type: "postgres", connection } as const;
    const columns: readonly Column[] = [{ type: "path", name: "p", path: "a", rawString: true }];
    door = await new DoorHarness().open({
      sinks: [
        { sinkId: "keeps", columns, target, settings: KEEPS },
        { sinkId: "strict", columns, target },
        { sinkId: "warehouse", columns },
      ],
    });
    const answer = await door.post('{"a":"\\u0000"}');
    assert.equal(answer.status, 422);
    assert.match(answer.body, /column \\"p\\": it has the character NUL/);
    assert.deepEqual(door.frames.rows("warehouse/0"), ['"\0"\n']);
    assert.deepEqual([door.frames.rows("keeps/0"), door.frames.rows("strict/0")], [[], []]);
    assert.deepEqual(
      letters().map(({ column, status }) => [column, status]),
      [["p", 422]],
    );
  });

  test("an array that is none -> refused: it has no records", async () => {
    assert.equal((await door.post('[{"a":1},')).status, 422);
    assert.deepEqual(letters(), []);
  });

  test("more letters than the sink may have -> 507, and what can be mapped is taken", async () => {
    await door.close();
    const settings = { ...KEEPS, "storage.level.local.deadLetters.size": "1MB" };
    door = await new DoorHarness().open({ sinks: [{ sinkId: "keeps", columns: COLUMNS, settings }] });
    const body = JSON.stringify({ b: "x".repeat(900_000) });
    const statuses = [];
    for (let i = 0; i < 4; i++) statuses.push((await door.post(body)).status);
    assert.deepEqual(statuses, [200, 200, 200, 507]);
    const refused = await door.post("{}");
    assert.deepEqual([refused.status, refused.headers["retry-after"]], [507, "60"]);
    assert.match(refused.body, /cannot be mapped, and dead letters of 2\d{6}B are kept, at most 2MB\./);
    const batch = await door.post('{"a":1}\n{}\n', NDJSON);
    assert.match(batch.body, /"accepted": 1/);
    assert.equal((await door.post('{"a":1}')).status, 200);
    assert.deepEqual([letters().length, door.frames.rows("keeps/0").length], [3, 2]);
    assert.match(door.metrics.render(), /millrace_ingest_dead_letters_refused_total 3\n/);
  });
});
