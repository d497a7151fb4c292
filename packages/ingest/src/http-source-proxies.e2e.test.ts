// Requests that come through proxies: whose address a record has, over every protocol of the door, and that nobody can
// write another one there.
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";

import { never, silentLogger, systemClock, utf8 } from "@millrace/base";
import { callUnary, GrpcChannel } from "@millrace/grpc";
import { CASES, protobufRequest } from "@millrace/otlp/testkit";

import { decodeLetter } from "./dead-letter.ts";
import type { Column } from "./definitions.ts";
import { DoorHarness, type DoorOptions } from "./http-source-testkit.ts";

const IP: readonly Column[] = [{ type: "ip", name: "ip" }];
const TRUSTED = ["127.0.0.0/8", "10.0.0.0/8"];
const LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const ONE_LOG = JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: [{ severityText: "a" }] }] }] });

let door: DoorHarness;
afterEach(() => door.close());

async function open(trustedProxies: readonly string[], options: DoorOptions = {}): Promise<void> {
  door = await new DoorHarness().open({ sinks: [{ columns: IP }], trustedProxies, ...options });
}

function addresses(journal = "flights/0"): readonly string[] {
  return door.frames.rows(journal).map((row) => row.trim().replaceAll('"', ""));
}

describe("the client's address", () => {
  test("a trusted proxy says whose record it is -> that, and no address that the client wrote", async () => {
    await open(TRUSTED);
    const forwarded: Record<string, string>[] = [
      { "X-Forwarded-For": "6.6.6.6, 203.0.113.7, 10.1.1.1" },
      { "x-forwarded-for": "2001:DB8::7", Forwarded: "for=6.6.6.6" },
      { Forwarded: 'for=6.6.6.6, for="[2001:db8::8]:4711";proto=https' },
      { "X-Forwarded-For": "6.6.6.6, unknown" },
      { "X-Forwarded-For": "a".repeat(15_000) },
      {},
    ];
    for (const headers of forwarded) assert.equal((await door.post("{}", headers)).status, 200);
    assert.deepEqual(addresses(), [
      "203.0.113.7",
      "2001:db8::7",
      "2001:db8::8",
      "127.0.0.1",
      "127.0.0.1",
      "127.0.0.1",
    ]);
  });

  test("several lines, requests of several clients on one connection -> each has its own", async () => {
    await open(TRUSTED);
    const client = door.connect();
    for (const last of ["203.0.113.7", "203.0.113.8", "10.9.9.9"]) {
      const lines = `X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: ${last}\r\n`;
      client.send(`POST ${door.path} HTTP/1.1\r\nHost: a\r\n${lines}Content-Length: 2\r\n\r\n{}`);
      assert.equal((await client.answer()).status, 200);
    }
    client.close();
    assert.deepEqual(addresses(), ["203.0.113.7", "203.0.113.8", "6.6.6.6"]);
  });

  for (const [what, trusted] of [
    ["no proxies", []],
    ["others", ["10.0.0.0/8", "::1"]],
  ] as const) {
    test(`${what} are trusted -> the peer's, whatever its headers say`, async () => {
      await open(trusted);
      await door.post("{}", { "X-Forwarded-For": "6.6.6.6" });
      await door.post("{}", { Forwarded: "for=6.6.6.6" });
      await door.post("{}\n{}", { "X-Forwarded-For": "10.1.1.1", "Content-Type": "application/x-ndjson" });
      assert.deepEqual(addresses(), Array(4).fill("127.0.0.1"));
    });
  }

  test("records of a batch, templates in both languages, dead letters -> the same address", async () => {
    const template = (name: string, language: "jsonnet" | "jsonata", content: string): Column => ({
      type: "template",
      name,
      template: { language, content },
      rawString: true,
    });
    const settings = { "storage.level.local.deadLetters.enabled": true };
    await open(TRUSTED, {
      sinks: [
        { sinkId: "maps", columns: [template("n", "jsonnet", "Ip()"), template("a", "jsonata", "$ip()")] },
        { sinkId: "keeps", columns: [{ type: "path", name: "p", path: "nowhere" }], settings },
      ],
    });
    const headers = { "X-Forwarded-For": "203.0.113.7", "Content-Type": "application/x-ndjson" };
    assert.equal((await door.post("{}\n{}", headers)).status, 200);
    assert.deepEqual(addresses("maps/0"), Array(2).fill("203.0.113.7,203.0.113.7"));
    const letters = door.frames.rows("keeps/dead-letters").map((row) => decodeLetter(utf8(row), "letter").ip);
    assert.deepEqual(letters, ["203.0.113.7", "203.0.113.7"]);
  });
});

describe("the client's address of OTLP", () => {
  const { name } = CASES.find(({ signal, records }) => signal === "logs" && records.length === 1)!;

  async function exportLogs(metadata: Record<string, string>): Promise<void> {
    const { port, secret } = door;
    const address = `http://127.0.0.1:${port}`;
    const channel = new GrpcChannel({ address, clock: systemClock, logger: silentLogger });
    const all = new Map(Object.entries({ authorization: `Bearer ${secret}`, ...metadata }));
    try {
      await callUnary(channel, LOGS, protobufRequest(name), { metadata: all }, never);
    } finally {
      await channel.close(AbortSignal.abort());
    }
  }

  test("through a trusted proxy -> as of any record; over gRPC Forwarded counts for nothing", async () => {
    await open(TRUSTED, { type: "otlp" });
    await door.post(ONE_LOG, { "X-Forwarded-For": "6.6.6.6, 203.0.113.7" }, `${door.path}/v1/logs`);
    await exportLogs({ "x-forwarded-for": "6.6.6.6, 203.0.113.8, 10.1.1.1" });
    await exportLogs({ forwarded: "for=6.6.6.6" });
    assert.deepEqual(addresses(), ["203.0.113.7", "203.0.113.8", "127.0.0.1"]);
  });

  test("from a peer that is not trusted -> the peer's", async () => {
    await open(["10.0.0.0/8"], { type: "otlp" });
    await door.post(ONE_LOG, { "X-Forwarded-For": "6.6.6.6" }, `${door.path}/v1/logs`);
    await exportLogs({ "x-forwarded-for": "6.6.6.6" });
    assert.deepEqual(addresses(), ["127.0.0.1", "127.0.0.1"]);
  });
});
