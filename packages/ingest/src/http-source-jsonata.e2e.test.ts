// Sinks with JSONata through the door: records wait for their programs, and are mapped, answered and refused as those
// of other sinks are.
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, test } from "node:test";

import { MetricsRegistry, silentLogger, systemClock } from "@millrace/base";
import { Evaluators, launchEvaluator, type ProgramEvaluator } from "@millrace/jsonata";
import { localEvaluator } from "@millrace/jsonata/testkit";

import type { Column } from "./definitions.ts";
import { DoorHarness, type DoorOptions } from "./http-source-testkit.ts";

const template = (name: string, content: string): Column => ({
  type: "template",
  name,
  template: { language: "jsonata", content },
  rawString: true,
});
const LETTERS = { "storage.level.local.deadLetters.enabled": true };

let door: DoorHarness;
const opened = async (columns: readonly Column[], options: DoorOptions = {}): Promise<DoorHarness> =>
  (door = await new DoorHarness().open({ sinks: [{ sinkId: "j", columns }], ...options }));
afterEach(() => door.close());
const rows = (sinkId = "j"): string[] => door.frames.rows(`${sinkId}/0`);

describe("a record", () => {
  beforeEach(() => opened([template("t", "a & '-' & $header('x-b')"), { type: "body", name: "b" }]));

  test("JSON, a form, gzip, another charset -> its row", async () => {
    const bodies: [body: string | Uint8Array, headers: Record<string, string>][] = [
      ['{"a":1}', {}],
      ["a=2", { "Content-Type": "application/x-www-form-urlencoded" }],
      [gzipSync('{"a":3}'), { "Content-Encoding": "gzip" }],
      [Buffer.from('{"a":"é"}', "utf16le"), { "Content-Type": "application/json; charset=utf-16le" }],
      ['{"a":5}\n', { "Content-Type": "application/x-ndjson" }],
    ];
    for (const [body, headers] of bodies) {
      const { status } = await door.post(body, { "X-B": "b", ...headers });
      assert.equal(status, 200);
    }
    const bare = ['{""a"":1}', "a=2", '{""a"":3}', '{""a"":""é""}', '{""a"":5}'];
    assert.deepEqual(
      rows(),
      ["1", "2", "3", "é", "5"].map((a, i) => `"${a}-b","${bare[i]}"\n`),
    );
  });

  test("that its program refuses -> 422 with the reason, no row", async () => {
    const answer = await door.post('{"a":{}}');
    assert.equal(answer.status, 200, "an object is its JSON as text");
    const refused = await door.post("{");
    assert.equal(refused.status, 422);
    assert.match(refused.body, /Invalid value for column \\"t\\": invalid JSON/);
    const opaque = await door.post("text", { "Content-Type": "text/plain" });
    assert.equal(opaque.status, 415);
    assert.equal(rows().length, 1);
  });

  test("many at once on one connection and on others -> each its own row, answers in order", async () => {
    const clients = Array.from({ length: 8 }, () => door.connect());
    for (const [c, client] of clients.entries()) {
      for (let i = 0; i < 40; i++) {
        const body = i % 10 === 9 ? "{" : `{"a":"${c}.${i}"}`;
        const head = `POST ${door.path} HTTP/1.1\r\nHost: in.test\r\nContent-Type: application/json\r\n`;
        client.send(`${head}X-B: h${c}.${i}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      }
    }
    for (const client of clients) {
      for (let i = 0; i < 40; i++) assert.equal((await client.answer()).status, i % 10 === 9 ? 422 : 200);
      client.close();
    }
    assert.equal(rows().length, 8 * 36);
    assert.equal(new Set(rows()).size, 8 * 36);
    for (const row of rows()) assert.match(row, /^"([0-9.]+)-h\1","\{""a"":""\1""\}"\n$/);
  });
});

describe("a batch", () => {
  test("of lines, some of which are none or are refused -> its rows in order, the others named", async () => {
    await opened([
      template("t", "n > 8599 ? $error('too many') : n"),
      { type: "path", name: "n", path: "n" },
    ]);
    const lines = Array.from({ length: 9000 }, (_, n) => (n % 1000 === 7 ? '{"n":' : `{"n":${n}}`));
    const answer = await door.post(lines.join("\n"), { "Content-Type": "application/x-ndjson" });
    const { accepted, rejected } = JSON.parse(answer.body) as {
      accepted: number;
      rejected: { reason: string }[];
    };
    const taken = lines.flatMap((_, n) => (n > 8599 || n % 1000 === 7 ? [] : [`"${n}","${n}"\n`]));
    assert.deepEqual([answer.status, accepted, rejected.length], [200, taken.length, 9000 - taken.length]);
    assert.deepEqual(rows(), taken);
    assert.match(rejected.at(-1)!.reason, /1:18 too many/);
  });

  test("an array, and one that is none -> all its rows, or none", async () => {
    await opened([template("t", "n * 2")]);
    const elements = Array.from({ length: 9000 }, (_, n) => `{"n":${n}}`);
    assert.equal((await door.post(`[${elements.join(",")}]`)).status, 200);
    assert.equal((await door.post(`[${elements.join(",")},`)).status, 422);
    assert.deepEqual(
      rows(),
      elements.map((_, n) => `"${n * 2}"\n`),
    );
  });

  test("several at once beside records -> nothing is mixed up", async () => {
    await opened([template("t", "$string(n) & $header('x-b')"), { type: "path", name: "n", path: "n" }]);
    const batch = (from: number): string =>
      Array.from({ length: 3000 }, (_, n) => `{"n":${from + n}}`).join("\n");
    const ndjson = { "Content-Type": "application/x-ndjson" };
    const answers = await Promise.all([
      door.post(batch(0), { ...ndjson, "X-B": "x" }),
      door.post(batch(10_000), { ...ndjson, "X-B": "y" }),
      ...Array.from({ length: 50 }, (_, n) => door.post(`{"n":${20_000 + n}}`, { "X-B": "z" })),
    ]);
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    const letter = (n: number): string => "xyz"[Math.floor(n / 10_000)]!;
    assert.equal(new Set(rows()).size, 6050);
    for (const row of rows()) {
      const [, n = ""] = /^"[^"]*","([0-9]+)"\n$/.exec(row) ?? [];
      assert.equal(row, `"${n}${letter(Number(n))}","${n}"\n`);
    }
  });
});

describe("beside other sinks", () => {
  test("each maps on its own, in either language; dead letters have the reason", async () => {
    const jsonnet = { language: "jsonnet", content: "Body('a')" } as const;
    await opened([], {
      sinks: [
        { sinkId: "j", columns: [template("t", "$number(a)")], settings: LETTERS },
        { sinkId: "n", columns: [{ type: "template", name: "t", template: jsonnet, rawString: true }] },
      ],
    });
    assert.equal((await door.post('{"a":"1"}')).status, 200);
    const answer = await door.post('{"a":"x"}');
    assert.equal(answer.status, 200);
    assert.deepEqual(rows("j"), ['"1"\n']);
    assert.deepEqual(rows("n"), ['"1"\n', '"x"\n']);
    const [letter = ""] = door.frames.rows("j/dead-letters");
    assert.match(letter, /"reason":"Invalid value for column \\"t\\": 1:8 Unable to cast value to a number/);
  });

  test("programs that cannot be evaluated -> 503, and no letter", async () => {
    const evaluator: ProgramEvaluator = {
      ...localEvaluator(),
      evaluate: ({ records }) =>
        Promise.resolve(records.map(() => [{ kind: "unavailable", reason: "closed" }])),
    };
    const sinks = [{ sinkId: "j", columns: [template("t", "a")], settings: LETTERS }];
    await opened([], { sinks, evaluator });
    const answer = await door.post('{"a":1}');
    assert.equal(answer.status, 503);
    assert.match(answer.body, /Column \\"t\\" cannot be filled now: closed\./);
    assert.deepEqual([rows(), door.frames.rows("j/dead-letters")], [[], []]);
  });

  test("OTLP -> its flat records", async () => {
    await opened([template("t", "body & '!'")], { type: "otlp" });
    const logs = {
      resourceLogs: [
        { scopeLogs: [{ logRecords: [{ body: { stringValue: "a" } }, { body: { stringValue: "b" } }] }] },
      ],
    };
    const answer = await door.post(JSON.stringify(logs), {}, `${door.path}/v1/logs`);
    assert.equal(answer.status, 200, answer.body);
    assert.deepEqual(rows(), ['"a!"\n', '"b!"\n']);
  });
});

test("a record that ends the process of its program -> 422; those beside it are rows", async () => {
  const metrics = new MetricsRegistry();
  const ports = { launch: launchEvaluator, clock: systemClock, logger: silentLogger, metrics };
  const evaluator = new Evaluators(ports, 1);
  try {
    await opened([template("t", "$count($match(s, /^(a+)+$/))")], { evaluator });
    const good = Array.from({ length: 20 }, (_, i) => door.post(`{"s":"${"a".repeat(i + 1)}"}`));
    const bad = door.post(`{"s":"${"a".repeat(40)}!"}`);
    const answer = await bad;
    assert.equal(answer.status, 422);
    assert.match(answer.body, /ended after 500 ms of a processor/);
    for (const each of good) assert.equal((await each).status, 200);
    assert.equal((await door.post('{"s":"aa"}')).status, 200);
    assert.deepEqual(rows(), Array(21).fill('"1"\n'));
  } finally {
    await evaluator.close();
  }
});
