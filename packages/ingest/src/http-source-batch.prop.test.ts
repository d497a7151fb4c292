// NDJSON and JSON arrays of anything against a naive reading: split, JSON.parse, look.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  BodyBytes,
  concatBytes,
  MetricsRegistry,
  silentLogger,
  systemClock,
  text,
  utf8,
} from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import fc from "fast-check";

import { type Column, type SinkDefinition, type SourceDefinition } from "./definitions.ts";
import { Dispatcher } from "./dispatcher.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import { Exchange } from "./http1-exchange.ts";
import { Answers } from "./http-source-answers.ts";
import { answerBatch } from "./http-source-batch-answer.ts";
import { Batch } from "./http-source-batch.ts";
import { DoorRecord } from "./http-source-record.ts";
import type { SourceRoute } from "./http-source-routes.ts";
import {
  ArrayWalk,
  LineWalk,
  type ArrayProblem,
  type BodyWalk,
  type WalkedBody,
} from "./http-source-walk.ts";
import { PathTree } from "./mapping-path.ts";
import { ProgramSet } from "./mapping-programs.ts";
import { compileMapping } from "./mapping.ts";
import { Piece } from "./work-turns.ts";

const KEY = { projectId: 1, branchId: 1, sourceId: "s", sinkId: "k" };
const COLUMNS: readonly Column[] = [
  { type: "path", name: "o", path: "o" },
  { type: "body", name: "b" },
];
const CHANGE = { at: "2026-01-01T00:00:00.000Z", by: { type: "system" } } as const;
const VERSION = { ...CHANGE, number: 1, hash: "0", description: "" };

interface Outcome {
  readonly accepted: number;
  readonly rejected: readonly number[];
  readonly bodies: readonly string[];
}

function walked(body: string): WalkedBody {
  const bytes = utf8(body);
  let ms = 0;
  const piece = new Piece({ monotonicMs: () => (ms += 3) }, true);
  return {
    body: new BodyBytes(bytes),
    begin: 0,
    end: bytes.length,
    piece,
    bounds: { bytes: 40, records: 3 },
  };
}

class Fixture {
  readonly random = seededRandom("batch");
  readonly appended: Uint8Array[] = [];
  readonly turns: (() => void)[] = [];
  readonly record = new DoorRecord();
  readonly dispatcher: Dispatcher;
  readonly route: SourceRoute;
  /** Appends do not end. */
  isStuck = false;
  readonly exchange = new Exchange({ onAnswered: () => undefined }, 0, false);

  constructor() {
    this.dispatcher = new Dispatcher(
      {
        frames: {
          appendFrame: (_journal, content, signal) => {
            if (this.isStuck)
              return new Promise((_resolve, reject) => signal.addEventListener("abort", reject));
            this.appended.push(concatBytes(content));
            return Promise.resolve({ begin: 0, end: 1 });
          },
        },
        partitions: { ensure: () => Promise.resolve("j") },
        onAppended: () => undefined,
        onLetters: () => undefined,
        deadLetters: { ensure: () => Promise.resolve("d") },
        turns: { atEnd: (run) => void this.turns.push(run) },
        clock: systemClock,
        random: this.random,
        logger: silentLogger,
        metrics: new MetricsRegistry(),
      },
      { limits: { queuedBytesMax: 1e9, partitionQueuedBytesMax: 1e9 }, lanes: 1 },
      (error) => {
        throw error;
      },
    );
    const tree = new PathTree();
    const programs = new ProgramSet();
    const mapping = compileMapping(COLUMNS, { tree, programs, random: this.random });
    const publishers = [this.dispatcher.publisher(sinkDefinition(), 0)];
    this.route = {
      name: "",
      programs,
      hasTemplates: false,
      source: sourceDefinition(),
      secret: new Uint8Array(48),
      isEnabled: true,
      limiter: undefined,
      tree,
      sinks: [
        {
          sink: sinkDefinition(),
          version: 1,
          isAwaited: true,
          mapping,
          quota: undefined,
          letters: undefined,
          letterQuota: undefined,
          publishers,
          current: 0,
        },
      ],
      readingColumn: "o",
    };
    this.record.scanner.use(tree);
    this.record.form = "scanned";
    this.record.bodyIsText = true;
    this.record.acceptedAtMs = 1;
  }

  writeLines(joined: string): void {
    const { scanner } = this.record;
    this.walk(new LineWalk(walked(joined), scanner, this.batch()));
  }

  batch(): Batch {
    const answers = new Answers(this.random, new MetricsRegistry());
    const how = { answers, exchange: this.exchange, isVerbose: false };
    return new Batch(this.route, this.record, {
      recordBytesMax: 1000,
      onSettled: (batch) => answerBatch(this.route, batch, how),
    });
  }

  /** Step by step; in between somebody else uses the scanner. */
  walk(walk: BodyWalk): void {
    while (!walk.step()) {
      const other = utf8('{"o":[1,"other"]}');
      this.record.scanner.scanWhole(new BodyBytes(other), 0, other.length);
    }
  }

  async outcome(): Promise<Outcome> {
    while (this.exchange.answer === undefined) {
      for (const run of this.turns.splice(0)) run();
      await new Promise((done) => setImmediate(done));
    }
    const body = this.exchange.answer.slice(this.exchange.answer.indexOf("\r\n\r\n"));
    const { accepted, rejected } = JSON.parse(body) as { accepted: number; rejected: { index: number }[] };
    const frames = new FrameDecoder(0).push(concatBytes(this.appended));
    const rows = frames.map((frame) => text(frame.body)).join("");
    // The body is the last value of each row.
    const bodies = Array.from(rows.matchAll(/,"((?:[^"]|"")*)"\n/g), ([, value = ""]) =>
      value.replaceAll('""', '"'),
    );
    return { accepted, rejected: rejected.map(({ index }) => index), bodies };
  }
}

function sourceDefinition(): SourceDefinition {
  return { ...KEY, type: "http", name: "n", description: "", secret: "", version: VERSION, created: CHANGE };
}

function sinkDefinition(): SinkDefinition {
  return {
    ...KEY,
    type: "table",
    name: "n",
    description: "",
    table: { type: "duckdb", tableId: "main.t", mapping: { columns: COLUMNS } },
    partitions: 1,
    keyedPartitions: 1,
    version: VERSION,
    created: CHANGE,
  };
}

function isRecord(line: string): boolean {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && Object.hasOwn(value, "o");
  } catch {
    return false;
  }
}

function expected(records: readonly string[]): Outcome {
  const bodies = records.filter(isRecord);
  const rejected = records.flatMap((record, index) => (isRecord(record) ? [] : [index]));
  return { accepted: bodies.length, rejected, bodies };
}

const value = fc.oneof(
  fc.json({ maxDepth: 2 }).map((json) => `{"o":${json}}`),
  fc.json({ maxDepth: 2 }),
  fc.constantFrom('{"o":1}', '{"o":"é"}', '{"o":"a\\nb"}', '{ "o" : null , "x" : [ 1 , 2 ] }'),
);
const line = fc.oneof(
  { weight: 4, arbitrary: value },
  fc.constantFrom(
    "",
    " ",
    "\t\r",
    "{",
    '{"o":',
    '{"o":1}}',
    '{"o":1} {"o":2}',
    "nul",
    '"',
    '{"o":"\t"}',
    "[",
    "]",
    ",",
  ),
);
const padding = fc.constantFrom("", "", " ", "\t", "  ");

describe("batches against a naive reading", () => {
  test("NDJSON: any lines -> the same records accepted and rejected, in order", async () => {
    const body = fc.array(fc.tuple(padding, line, padding, fc.constantFrom("\n", "\n", "\r\n", "\n\n")), {
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(body, fc.boolean(), async (lines, endsWithNewline) => {
        let joined = lines.map((parts) => parts.join("")).join("");
        if (!endsWithNewline) joined = joined.replace(/\r?\n+$/, "");
        const records = joined.split("\n").map((each) => each.replace(/^[ \t\r]+|[ \t\r]+$/g, ""));
        const f = new Fixture();
        f.writeLines(joined);
        assert.deepEqual(await f.outcome(), expected(records.filter((record) => record !== "")));
      }),
      { numRuns: 400 },
    );
  });

  test("array: any elements -> the same records; broken -> found so as JSON.parse does", async () => {
    const element = fc.tuple(padding, fc.oneof({ weight: 15, arbitrary: value }, line), padding);
    const end = fc.constantFrom("]", "]", "]", "] \n", "", "]]", ",]");
    await fc.assert(
      fc.asyncProperty(fc.array(element, { maxLength: 8 }), end, async (elements, end) => {
        const body = ` [${elements.map((parts) => parts.join("")).join(",")}${end}`;
        const f = new Fixture();
        let problem: ArrayProblem | undefined;
        const refuse = (found: ArrayProblem): void => void (problem = found);
        f.walk(new ArrayWalk(walked(body), f.record.scanner, () => f.batch(), refuse));
        let parsed: unknown;
        try {
          parsed = JSON.parse(body);
        } catch {
          parsed = undefined;
        }
        assert.equal(problem !== undefined, !Array.isArray(parsed));
        if (problem !== undefined) return;
        const { accepted, rejected } = await f.outcome();
        const wanted = (parsed as unknown[]).map((each) => JSON.stringify(each));
        assert.equal(accepted, wanted.filter(isRecord).length);
        assert.deepEqual(rejected, expected(wanted).rejected);
      }),
      { numRuns: 400 },
    );
  });

  test("the process stops while an append is under way -> 503, since it may have happened", async () => {
    const f = new Fixture();
    f.isStuck = true;
    f.writeLines('{"o":1}\n{"x":1}\n');
    for (const run of f.turns.splice(0)) run();
    await new Promise((done) => setImmediate(done));
    await f.dispatcher.stop(AbortSignal.abort());
    assert.match(f.exchange.answer ?? "", /^HTTP\/1\.1 503 .*"error": "stream\.in\.outcomeUnknown"/s);
    assert.match(f.exchange.answer ?? "", /\r\nRetry-After: 1\r\n/);
  });
});
