// What sinks make of bodies through the door: templates, and bodies that are not what their type says, which only those
// sinks refuse that look into them.
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import type { Column } from "./definitions.ts";
import { DoorHarness, type RawAnswer } from "./http-source-testkit.ts";

const template = (name: string, content: string): Column => ({
  type: "template",
  name,
  template: { language: "jsonnet", content },
  rawString: true,
});
const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  looks: [{ type: "path", name: "p", path: "a" }],
  keeps: [
    { type: "body", name: "b" },
    { type: "ip", name: "i" },
  ],
  maybe: [template("t", "if Header('X-Look', '') == '' then BodyStr() else Body('a')")],
};

let door: DoorHarness;
beforeEach(async () => {
  door = await new DoorHarness().open({
    sinks: Object.entries(COLUMNS).map(([sinkId, columns]) => ({ sinkId, columns })),
  });
});
afterEach(() => door.close());

/** Status of each sink. */
function statuses(answer: RawAnswer): Record<string, number> {
  const { sources } = JSON.parse(answer.body) as {
    sources: { sinks: { sinkId: string; statusCode: number }[] }[];
  };
  return Object.fromEntries(sources[0]!.sinks.map(({ sinkId, statusCode }) => [sinkId, statusCode]));
}

function rows(): Record<string, string> {
  return Object.fromEntries(Object.keys(COLUMNS).map((id) => [id, door.frames.rows(`${id}/0`).join("")]));
}

describe("a body that is not what its type says", () => {
  const bodies: [name: string, type: string, body: string][] = [
    ["JSON", "application/json", '{"a":'],
    ["a form", "application/x-www-form-urlencoded", "a=%zz"],
    ["a form of parts", 'multipart/form-data; boundary="b"', "--b\r\n"],
    ["JSON of another charset", "application/json; charset=utf-16le", "abc"],
  ];
  for (const [name, type, body] of bodies) {
    test(`${name} -> only the sinks that look into it refuse it`, async () => {
      const answer = await door.post(body, { "Content-Type": type });
      assert.equal(answer.status, 422);
      assert.deepEqual(statuses(answer), { looks: 422, keeps: 200, maybe: 200 });
      const quoted = body.replaceAll('"', '""');
      assert.deepEqual(rows(), {
        looks: "",
        keeps: `"${quoted}","127.0.0.1"\n`,
        maybe: `"${quoted}"\n`,
      });
    });
  }

  test("a template that looks into it -> 422 in the words of a path column", async () => {
    const answer = await door.post("{", { "X-Look": "1" });
    assert.deepEqual(statuses(answer), { looks: 422, keeps: 200, maybe: 422 });
    assert.match(answer.body, /Invalid value for column \\"t\\": invalid JSON: .* at position 1\./);
  });

  test("bytes that are no text -> no sink with the body takes them", async () => {
    const answer = await door.post(Uint8Array.of(0x7b, 0xff));
    assert.deepEqual(statuses(answer), { looks: 422, keeps: 422, maybe: 422 });
  });

  test("an array that is none -> nobody takes it: it is no record", async () => {
    const answer = await door.post('[{"a":1},');
    assert.equal(answer.status, 422);
    assert.deepEqual(rows(), { looks: "", keeps: "", maybe: "" });
  });

  test("a line -> goes to none of the sinks when one looks into it, to all when none does", async () => {
    const lines = '{"a":1}\n{"a": \r\n{"a":2}\n';
    const first = JSON.parse(
      (await door.post(lines, { "Content-Type": "application/x-ndjson" })).body,
    ) as object;
    const reason =
      'looks: Invalid value for column "p": invalid JSON: unexpected end of the line, expected a value';
    assert.deepEqual(first, {
      statusCode: 200,
      message: "Accepted 2 of 3 records.",
      accepted: 2,
      rejected: [{ index: 1, reason: `${reason} at position 7.` }],
      rejectedCount: 1,
    });
    await door.close();
    door = await new DoorHarness().open({ sinks: [{ sinkId: "keeps", columns: COLUMNS["keeps"]! }] });
    const second = JSON.parse((await door.post(lines, { "Content-Type": "application/x-ndjson" })).body) as {
      message: string;
    };
    assert.equal(second.message, "Accepted 3 of 3 records.");
    assert.deepEqual(door.frames.rows("keeps/0"), [
      '"{""a"":1}","127.0.0.1"\n',
      '"{""a"":","127.0.0.1"\n',
      '"{""a"":2}","127.0.0.1"\n',
    ]);
  });
});

describe("templates", () => {
  test("a form's fields and its text", async () => {
    await door.close();
    door = await new DoorHarness().open({
      sinks: [
        {
          sinkId: "form",
          columns: [template("f", "Body('a.b') + '|' + BodyStr()"), template("w", "Body()")],
        },
      ],
    });
    const answer = await door.post("a%5Bb%5D=1&c=x+y", {
      "Content-Type": "application/x-www-form-urlencoded",
    });
    assert.deepEqual([answer.status, answer.body], [200, "OK"]);
    assert.deepEqual(door.frames.rows("form/0"), [
      '"1|a%5Bb%5D=1&c=x+y","{""a"":{""b"":""1""},""c"":""x y""}"\n',
    ]);
  });

  test("a form of parts: its fields, and its text", async () => {
    await door.close();
    const columns = [template("f", "Body('a.b') + '|' + std.length(BodyStr())"), template("w", "Body()")];
    door = await new DoorHarness().open({ sinks: [{ sinkId: "parts", columns }] });
    const part = (name: string, value: string): string =>
      `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
    const body = `${part("a[b]", "1")}${part("c", "x y")}--b--\r\n`;
    const answer = await door.post(body, { "Content-Type": "multipart/form-data; boundary=b" });
    assert.deepEqual([answer.status, answer.body], [200, "OK"]);
    assert.deepEqual(door.frames.rows("parts/0"), [
      `"1|${body.length}","{""a"":{""b"":""1""},""c"":""x y""}"\n`,
    ]);
  });

  test("records of a batch, one after the other: nothing of one is seen in the next", async () => {
    await door.close();
    door = await new DoorHarness().open({
      sinks: [{ sinkId: "b", columns: [template("t", "[Body(), Body('o', 0), std.length(BodyStr())]")] }],
    });
    await door.post('[{"o":{"x":1}}, {}, {"o":{"y":2}}, 5]');
    assert.deepEqual(door.frames.rows("b/0"), [
      '"[{""o"":{""x"":1}},{""x"":1},13]"\n',
      '"[{},0,2]"\n',
      '"[{""o"":{""y"":2}},{""y"":2},13]"\n',
      '"[5,0,1]"\n',
    ]);
  });

  test("a template that does not end -> 422, and the door goes on", async () => {
    await door.close();
    door = await new DoorHarness().open({
      sinks: [
        {
          sinkId: "loop",
          columns: [template("t", "local f(x) = f(x) tailstrict; if Body('a') then f(1) else 1")],
        },
      ],
    });
    const answer = await door.post('{"a":true}');
    assert.equal(answer.status, 422);
    assert.match(answer.body, /more than 250000 steps/);
    assert.equal((await door.post('{"a":false}')).status, 200);
  });
});
