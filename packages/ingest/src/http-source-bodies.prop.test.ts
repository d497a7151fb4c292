// Any body under any content type, at a door whose sinks keep dead letters: it is answered, never with a 5xx, each
// record that is taken is one row or one letter of each sink, and a letter that is mapped again by the same mapping is
// refused for the same reason (Q2 of dead-letter.ts).
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { systemRandom, utf8 } from "@millrace/base";
import fc from "fast-check";

import { RowBuffer } from "./csv-writer.ts";
import { decodeLetter, startLetter } from "./dead-letter.ts";
import type { Column } from "./definitions.ts";
import { DoorRecord } from "./http-source-record.ts";
import { DoorHarness } from "./http-source-testkit.ts";
import { PathTree } from "./mapping-path.ts";
import { ProgramSet } from "./mapping-programs.ts";
import { compileMapping } from "./mapping.ts";

const template = (content: string): Column => ({
  type: "template",
  name: "t",
  template: { language: "jsonnet", content },
});
const SINKS: Readonly<Record<string, readonly Column[]>> = {
  path: [{ type: "path", name: "p", path: "a[0].b" }],
  text: [{ type: "body", name: "b" }],
  template: [template("Body('a', 1) + std.length(BodyStr()) + std.length(Header('X-Length', ''))")],
};
const KEEPS = { "storage.level.local.deadLetters.enabled": true };

const TYPES = [
  "application/json",
  "application/json; charset=utf-16le",
  "application/json; charset=latin1",
  "application/x-ndjson",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=b",
  "multipart/form-data",
  "text/plain; charset=utf-16be",
  "",
];

const part = (name: string): string => `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n1\r\n`;
const PIECES = [
  '{"a":[{"b":1}]}',
  '{"a":2}',
  "{}",
  "[",
  "]",
  ",",
  "\n",
  "\r\n",
  '"',
  "\\u12",
  "\\ud800",
  "1e999",
  "a=1&",
  "a[0][b]=%c3%a9",
  "%",
  part("a"),
  part("a[][b]"),
  "--b--",
  "é",
  "\0",
  " ",
];
const body = fc.oneof(
  fc.array(fc.constantFrom(...PIECES), { maxLength: 6 }).map((pieces) => utf8(pieces.join(""))),
  fc.uint8Array({ maxLength: 30 }),
  fc
    .tuple(fc.array(fc.constantFrom(...PIECES), { maxLength: 4 }), fc.nat(), fc.nat(255))
    .map(([pieces, at, byte]) => {
      const bytes = utf8(`${pieces.join("")} `);
      bytes[at % bytes.length] = byte;
      return bytes;
    }),
);

let door: DoorHarness;
before(async () => {
  const sinks = Object.entries(SINKS).map(([sinkId, columns]) => ({ sinkId, columns, settings: KEEPS }));
  door = await new DoorHarness().open({ sinks });
});
after(() => door.close());

/** Why the mapping of `sinkId` refuses the letter; undefined when it does not. */
function reasonOf(sinkId: string, line: string): string | undefined {
  const tree = new PathTree();
  const mapping = compileMapping(SINKS[sinkId]!, { tree, programs: new ProgramSet(), random: systemRandom });
  const record = new DoorRecord();
  record.scanner.use(tree);
  startLetter(record, decodeLetter(utf8(line), "letter"));
  const failure = mapping.write(record, new RowBuffer(64));
  record.end();
  return failure?.message;
}

describe("bodies of any kind", () => {
  test("answered, never with a 5xx; rows and letters are as many as records were accepted", async () => {
    await fc.assert(
      fc.asyncProperty(body, fc.constantFrom(...TYPES), async (bytes, type) => {
        door.frames.journals.clear();
        const headers = type === "" ? {} : { "Content-Type": type };
        const answer = await door.request("POST", door.path, bytes, headers);
        assert.ok(answer.status === 200 || answer.status === 422, `${answer.status} ${answer.body}`);
        const batch = answer.body.startsWith("{") ? (JSON.parse(answer.body) as { accepted?: number }) : {};
        const accepted = batch.accepted ?? (answer.status === 200 ? 1 : 0);
        for (const sinkId of Object.keys(SINKS)) {
          const letters = door.frames.rows(`${sinkId}/dead-letters`);
          assert.equal(door.frames.rows(`${sinkId}/0`).length + letters.length, accepted, sinkId);
          for (const line of letters) {
            const { reason, body: kept } = decodeLetter(utf8(line), "letter");
            assert.equal(reasonOf(sinkId, line), reason);
            if (accepted === 1 && !type.includes("json"))
              assert.deepEqual([...kept].length > 0, bytes.length > 0);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
