// The demo against a real platform, with flights of the test's own, and with somebody else at its source.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, systemClock } from "@millrace/base";
import { demoBody, type Flight } from "./demo-records.ts";
import { Demo } from "./demo.ts";
import { openDemoDoors } from "./system-demo-doors.ts";
import { post } from "./test-http.ts";
import { scratch, TestPlatform } from "./test-platform.ts";

const FLIGHTS: readonly Flight[] = Array.from({ length: 3000 }, (_, i) => ({
  date: "2001/01/01 00:01",
  delay: i % 60,
  distance: 100 + (i % 900),
  origin: "PRG",
  destination: `it's ${i}`,
}));

/** What a person may post after a look at the table. */
const FOREIGN = [
  { row: 5_000_000 },
  { row: 2999, origin: "LIS" },
  { row: 1501, origin: "next but one" },
  { row: 1500, origin: "the next number" },
  { row: 7, origin: "a second seventh" },
  { row: -1 },
  { row: "row" },
  { origin: "no number" },
];

test("demo: somebody else's records claim numbers -> resumes behind its own, each is a row once (E2)", async () => {
  const platform = await TestPlatform.start(scratch());
  const doors = openDemoDoors({ ...platform.endpoints, token: "" });
  const data = {
    count: FLIGHTS.length,
    read: (begin: number, end: number) => Promise.resolve(FLIGHTS.slice(begin, end)),
  };
  const demo = new Demo({ doors, data, clock: systemClock, logger: silentLogger });
  const url = await demo.prepare(never);
  const replay = (rows: number) =>
    demo.replay(url, { rows, rate: Number.POSITIVE_INFINITY, onProgress: () => undefined }, never);

  const half = await replay(1500);
  assert.deepEqual([half.accepted, half.rows], [1500, 1500]);
  for (const record of FOREIGN) assert.equal((await post(url, record)).status, 200);
  const whole = await replay(FLIGHTS.length);
  assert.deepEqual([whole.accepted, whole.rows], [1500, 3000]);
  const again = await replay(FLIGHTS.length);
  assert.deepEqual([again.accepted, again.rows], [0, 3000]);

  const select = { query: "select body from main.flights" };
  const answer = await post(`${platform.endpoints.warehouse}/sql`, select);
  const { rows } = answer.json() as { rows: { body: string }[] };
  const bodies = rows.map(({ body }) => body);
  const sent = demoBody(FLIGHTS, 0).trimEnd().split("\n");
  const posted = FOREIGN.map((record) => JSON.stringify(record));
  assert.deepEqual(bodies.sort(), [...sent, ...posted].sort());
  await doors.close();
  await platform.stop();
});
