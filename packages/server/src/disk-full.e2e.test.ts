// A full disk, on a real platform over a small file system of its own: appends are refused and readiness says why,
// reading goes on, and when there is room again so is everything else, without a restart. Nothing acknowledged is lost.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import type { Endpoints } from "./endpoints.ts";
import { ask, post, type Answer } from "./test-http.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";
import { atDoor, createStream, pathColumn, sql, waitForRows } from "./test-streams.ts";

const SIZE = "size=96m";
const MIB = 2 ** 20;
const FLAGS = ["--broker.reserve", "12MiB", "--broker.segment-size", "2MiB"];

const mount = scratch();
const data = join(mount, "data");
const filler = join(mount, "filler");
const isMounted = spawnSync("mount", ["-t", "tmpfs", "-o", SIZE, "millrace-test", mount]).status === 0;
const skip = isMounted ? false : "mounting a small file system is not permitted here";

let platform: TestPlatform;
let url = "";
/** Numbers of the records that were acknowledged. */
const acknowledged: number[] = [];
/** What stands in the raw journal. */
let written = "";
let next = 0;

process.once("exit", () => {
  if (isMounted) spawnSync("umount", ["-l", mount]);
});

before(async () => {
  if (!isMounted) return;
  platform = await TestPlatform.start(data, FLAGS);
  url = await createStream(platform.endpoints, "full", [pathColumn("n"), { type: "body", name: "body" }]);
});

after(async () => {
  if (!isMounted) return;
  await platform.stop();
  assert.equal(spawnSync("umount", [mount]).status, 0, "nobody uses the file system any more");
});

// A test that failed leaves its own mess, not the others'.
beforeEach(() => rmSync(filler, { force: true }));

async function record(): Promise<Answer> {
  const n = next++;
  const answer = await post(atDoor(platform.endpoints, url), { n, pad: "x".repeat(500) });
  if (answer.status === 200) acknowledged.push(n);
  return answer;
}

/** A batch whose rows are not there yet when the disk is full: its slices and loads meet a full disk too. */
async function batch(records: number): Promise<void> {
  const numbers = Array.from({ length: records }, () => next++);
  const body = numbers.map((n) => JSON.stringify({ n, pad: "z".repeat(500) })).join("\n");
  const headers = { "content-type": "application/x-ndjson" };
  const answer = await ask(atDoor(platform.endpoints, url), { method: "POST", body, headers });
  assert.equal(answer.status, 200, answer.text);
  acknowledged.push(...numbers);
}

async function append(): Promise<Answer> {
  const body = `line ${next++} ${"y".repeat(300)}\n`;
  const answer = await ask(`${platform.endpoints.broker}/examples/full`, { method: "PUT", body });
  if (answer.status === 204) written += body;
  return answer;
}

/** Takes all the room but `leave` bytes. */
function fill(leave: number): void {
  const file = openSync(filler, "a");
  const piece = Buffer.alloc(256 * 1024, 1);
  try {
    while (statfsSync(mount).bavail * statfsSync(mount).bsize > leave) writeSync(file, piece);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
  } finally {
    closeSync(file);
  }
}

async function isReady(endpoints: Endpoints): Promise<readonly number[]> {
  const { broker, api, warehouse, "http-source": door } = endpoints;
  return Promise.all(
    [broker, api, warehouse, door].map(async (address) => (await ask(`${address}/readyz`)).status),
  );
}

/** Everything that was acknowledged, and nothing twice. */
async function nothingIsLost(): Promise<void> {
  const { endpoints } = platform;
  assert.equal((await ask(`${endpoints.broker}/examples/full`)).text, written);
  await waitForRows(endpoints, "main.full", acknowledged.length);
  const rows = await sql(endpoints, "select n from main.full order by _journal, _offset");
  assert.deepEqual(
    rows.map(({ n }) => Number(n)),
    acknowledged,
  );
}

for (const [name, leave] of [
  ["less room than the reserve", 6 * MIB],
  ["no room at all", 0],
] as const) {
  test(
    `${name} -> 507 and not ready; reads and SQL go on; with room again all is well`,
    { skip },
    async () => {
      for (let i = 0; i < 20; i++)
        assert.deepEqual([(await record()).status, (await append()).status], [200, 204]);
      await nothingIsLost();
      const { endpoints } = platform;
      await batch(5000);
      fill(leave);
      await until("records and appends are refused", 20_000, async () => {
        const statuses = [(await record()).status, (await append()).status];
        return statuses.every((status) => status === 507);
      });
      const refused = [await record(), await append()];
      assert.match(refused[0]!.text, /insufficientStorage/);
      for (const { headers } of refused)
        assert.ok(Number(headers["retry-after"]) > 0, "it says when to come again");

      assert.deepEqual(await isReady(endpoints), [503, 503, 503, 503]);
      for (const door of ["broker", "api", "warehouse", "http-source"] as const) {
        const { text } = await ask(`${endpoints[door]}/readyz`);
        assert.match(text, /space/i, door);
        assert.equal((await ask(`${endpoints[door]}/livez`)).status, 200, door);
      }
      assert.equal((await ask(`${endpoints.broker}/examples/full`)).text, written);
      const [row] = await sql(endpoints, "select count(*) as n from main.full");
      assert.ok(Number(row?.["n"]) <= acknowledged.length);

      rmSync(filler);
      await until("it is ready again", 20_000, async () =>
        (await isReady(endpoints)).every((one) => one === 200),
      );
      assert.deepEqual([(await record()).status, (await append()).status], [200, 204]);
      await nothingIsLost();
    },
  );
}

test(
  "killed while the disk is full -> starts once there is room, with all that was acknowledged",
  { skip },
  async () => {
    assert.deepEqual([(await record()).status, (await append()).status], [200, 204]);
    fill(0);
    await until("records are refused", 20_000, async () => (await record()).status === 507);
    await platform.killGroup();
    // Without room it may start and say so, or refuse to: it must do one of them, and harm nothing.
    const cramped = TestPlatform.launch(data, FLAGS);
    await until("it has started or ended", 60_000, () => cramped.isReady || cramped.exit !== undefined);
    if (cramped.exit === undefined) await cramped.killGroup();
    else assert.match(cramped.stderr, /space|ENOSPC/i);
    rmSync(filler);
    platform = await TestPlatform.start(data, FLAGS);
    await nothingIsLost();
    assert.deepEqual([(await record()).status, (await append()).status], [200, 204]);
    await nothingIsLost();
  },
);
