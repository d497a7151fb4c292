// Compressed bodies at the door, over HTTP and OTLP: four are being opened at once, whoever sends them.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import { seededRandom } from "@millrace/base/testkit";

import { decompressBody } from "./body-decompress.ts";
import { DoorHarness } from "./http-source-testkit.ts";
import type { SourceType } from "./definitions.ts";

const REQUESTS = 6;

/** Does not get small, so that it is not opened at once. */
function noise(): string {
  const random = seededRandom("noise");
  return Array.from({ length: 2100 }, () => random.u32().toString(36)).join("");
}

const cases: [type: SourceType, path: string, body: string][] = [
  ["http", "", JSON.stringify({ origin: noise() })],
  [
    "otlp",
    "/v1/logs",
    JSON.stringify({
      resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: noise() } }] }] }],
    }),
  ],
];

describe("requests with compressed bodies, all at once", () => {
  for (const [type, path, body] of cases) {
    test(`${type} -> at most four are being opened; all are taken`, async () => {
      let now = 0;
      let most = 0;
      const door = await new DoorHarness().open({
        type,
        sinks: [{ columns: [{ type: "body", name: "body" }] }],
        decompress: async (...given) => {
          most = Math.max(most, ++now);
          const outcome = await decompressBody(...given);
          now--;
          return outcome;
        },
      });
      try {
        const client = door.connect();
        const bytes = gzipSync(body);
        assert.ok(bytes.length > 8192);
        const head = `POST ${door.path}${path} HTTP/1.1\r\nHost: in.test\r\nContent-Type: application/json\r\n`;
        const request = `${head}Content-Encoding: gzip\r\nContent-Length: ${bytes.length}\r\n\r\n`;
        const requests = Array.from({ length: REQUESTS }, () => [Buffer.from(request), bytes]).flat();
        client.send(Buffer.concat(requests));
        for (let i = 0; i < REQUESTS; i++) assert.equal((await client.answer()).status, 200);
        client.close();
        assert.equal(door.frames.rows("flights/0").length, REQUESTS);
        assert.ok(most <= 4, `${most} at once`);
      } finally {
        await door.close();
      }
    });
  }
});
