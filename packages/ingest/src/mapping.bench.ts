// What a record costs on its way from a body's bytes to a row's, one core: `node
// packages/ingest/dist/mapping.bench.js`. Prints nanoseconds of CPU per record, and the share of the scanner and of
// JSON.parse on the same bytes.
import { BodyBytes, systemRandom, utf8 } from "@millrace/base";

import { JsonScanner } from "./body-json.ts";
import { RowBuffer } from "./csv-writer.ts";
import type { Column } from "./definitions.ts";
import { PathTree } from "./mapping-path.ts";
import { ProgramSet } from "./mapping-programs.ts";
import { RecordHeaders } from "./http-source-headers.ts";
import type { RecordContext } from "./mapping-record.ts";
import { RecordValues } from "./mapping-values.ts";
import { TemplateBudget } from "./mapping-budget.ts";
import { compileMapping } from "./mapping.ts";

const FLIGHT = '{"date":"2001/01/01 00:01","delay":14,"distance":405,"origin":"MCI","destination":"MDW"}';
const EVENT = JSON.stringify({
  id: 123456,
  user: "alice@example.com",
  event: "page_view",
  url: "https://example.com/products/42?ref=home",
  ts: "2026-01-01T00:00:00.000Z",
  device: { os: "iOS", version: "17.2", model: "iPhone15,2" },
  tags: ["a", "b", "c"],
  amount: 12.5,
  origin: "MCI",
  note: "x".repeat(60),
});
const COLUMNS: readonly Column[] = [
  { type: "uuid", name: "id" },
  { type: "datetime", name: "received_at" },
  { type: "path", name: "origin", path: "origin", rawString: true },
  { type: "body", name: "body" },
];
const COUNT = 200_000;
const ROUNDS = 5;

/** Median CPU nanoseconds of one call of `run`. */
function measure(run: () => number): number {
  const figures: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    let sink = 0;
    const before = process.cpuUsage();
    for (let i = 0; i < COUNT; i++) sink += run();
    const used = process.cpuUsage(before);
    if (sink === -1) throw new Error("unreachable");
    if (round > 0) figures.push(((used.user + used.system) * 1000) / COUNT);
  }
  return figures.sort((a, b) => a - b)[figures.length >> 1]!;
}

for (const [name, body] of Object.entries({ flight: FLIGHT, event: EVENT })) {
  const bytes = new BodyBytes(Buffer.from(utf8(body)));
  const length = bytes.bytes.length;
  const tree = new PathTree();
  const mapping = compileMapping(COLUMNS, { tree, programs: new ProgramSet(), random: systemRandom });
  const scanner = new JsonScanner();
  scanner.use(tree);
  const headers = new RecordHeaders([["Content-Type", "application/json"]]);
  const record: RecordContext = {
    acceptedAtMs: 1767225600123,
    body: bytes,
    bodyBegin: 0,
    bodyEnd: length,
    bodyIsText: true,
    kind: "json",
    form: "scanned",
    problem: "",
    scanner,
    values: new RecordValues(),
    evaluated: [],
    budget: new TemplateBudget(0),
    clientIp: utf8("127.0.0.1"),
    headers: () => headers,
  };
  const out = new RowBuffer(1024 * 1024);
  const whole = measure(() => {
    if (out.at > 1_000_000) out.at = 0;
    if (!scanner.scanWhole(bytes, 0, length)) throw new Error(scanner.problem);
    if (mapping.write(record, out) !== undefined) throw new Error("not mapped");
    return out.at;
  });
  const scan = measure(() => (scanner.scanWhole(bytes, 0, length) ? 1 : 0));
  const parse = measure(() => (JSON.parse(bytes.bytes.toString()) as { origin: string }).origin.length);
  const line = { record: name, bytes: length, mappedNs: whole, ofItScanNs: scan, jsonParseNs: parse };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
