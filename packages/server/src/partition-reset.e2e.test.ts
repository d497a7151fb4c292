// The way out of a sink whose partition has lost its only holder's disk (ADR 14), with each component in a process of
// its own that lives through it.
import assert from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { test } from "node:test";
import { post } from "./test-http.ts";
import { runProgram } from "./test-lost-holder.ts";
import { BIN, until } from "./test-platform.ts";
import { clusterOfFile } from "./test-stream-cluster.ts";
import { createStream, pathColumn, sql, waitForRows } from "./test-streams.ts";

const open = clusterOfFile();
const JOURNAL = "stream/1/1/lost/lost/p000";
const FIRST = 20;
const WAIT_MS = 120_000;

test("a partition's only disk is lost -> refused with the way on, on which every record is a row, once", async () => {
  const cluster = await open({ flags: ["--new-data", "allow"] });
  const endpoints = cluster.endpoints();
  const url = await createStream(endpoints, "lost", [pathColumn("n")]);
  const accepted: string[] = [];
  let next = 0;
  let unknown = 0;
  const send = async (): Promise<string> => {
    const n = String(next++);
    const { status, text } = await post(url, { n });
    if (status === 200) accepted.push(n);
    else if (text.includes("outcomeUnknown")) unknown++;
    return `${status} ${text}`;
  };
  for (let i = 0; i < FIRST; i++) await send();
  assert.equal(accepted.length, FIRST);
  await waitForRows(endpoints, "main.lost", FIRST, WAIT_MS);

  const broker = cluster.all("broker")[0]!;
  await broker.kill();
  rmSync(broker.data, { recursive: true, force: true });
  mkdirSync(broker.data);
  await broker.start();
  let said = "";
  await cluster.told(() =>
    until("a refusal names the way on", WAIT_MS, async () => (said = await send()).includes(" --at ")),
  );
  assert.match(said, /^503 .* acknowledged bytes are lost; /s);
  const [, at] = new RegExp(`millrace journals reset-head -l name=${JOURNAL} --at (\\d+)`).exec(said)!;
  assert.equal(accepted.length, FIRST);

  const reset = ["journals", "reset-head", "-l", `name=${JOURNAL}`, "--broker.address", broker.url];
  await assert.rejects(runProgram(BIN, reset), /say where they go on, .* --at OFFSET/);
  assert.match(await runProgram(BIN, [...reset, "--at", at!]), new RegExp(`appends go on at ${at}\\n`));
  await assert.rejects(runProgram(BIN, reset), /say where they go on, .* --at OFFSET/);
  await cluster.told(() =>
    until("records are taken", WAIT_MS, async () => (said = await send()).startsWith("200 ")),
  );
  for (let i = 0; i < FIRST; i++) await send();
  assert.equal(accepted.length, 2 * FIRST + 1);
  // A record of unknown outcome may be a row, too.
  let rows: string[] = [];
  await cluster.told(() =>
    until("every accepted record is a row", WAIT_MS, async () => {
      rows = (await sql(endpoints, "select n from main.lost")).map(({ n }) => String(n));
      return accepted.every((n) => rows.includes(n));
    }),
  );
  assert.equal(new Set(rows).size, rows.length);
  assert.ok(rows.length - accepted.length <= unknown, `${rows.length} rows, ${unknown} unknown`);
});
