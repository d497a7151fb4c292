// A full disk, on a real platform over a small file system of its own: appends are refused and readiness says why,
// reading goes on, and when there is room again so is everything else, without a restart. Nothing acknowledged is lost.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { Endpoints } from "./endpoints.ts";
import { ask, post, type Answer } from "./test-http.ts";
import { TestPlatform, until } from "./test-platform.ts";
import { missingSmallDisk, SmallDisk } from "./test-small-disk.ts";
import { atDoor, createStream, pathColumn, sql, waitForRows } from "./test-streams.ts";

const DISK_MIB = 96;
const MIB = 2 ** 20;
const FLAGS = ["--broker.reserve", "12MiB", "--broker.segment-size", "2MiB"];

const skip = missingSmallDisk();
/** undefined only where all is skipped. */
const disk = skip === false ? SmallDisk.mounted(DISK_MIB)! : undefined;

let platform: TestPlatform;
let url = "";
/** Numbers of the records that were acknowledged. */
const acknowledged: number[] = [];
/** What stands in the raw journal. */
let written = "";
let next = 0;

before(async () => {
  if (disk === undefined) return;
  platform = await TestPlatform.start(disk.data, FLAGS);
  url = await createStream(platform.endpoints, "full", [pathColumn("n"), { type: "body", name: "body" }]);
});

after(async () => {
  if (disk === undefined) return;
  await platform.stop();
  disk.unmount();
});

// A test that failed leaves its own mess, not the others'.
beforeEach(() => disk?.clear());

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
      await disk!.fill(leave);
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

      disk!.clear();
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
    await disk!.fill(0);
    await until("records are refused", 20_000, async () => (await record()).status === 507);
    await platform.killGroup();
    // Without room it may start and say so, or refuse to: it must do one of them, and harm nothing.
    const cramped = TestPlatform.launch(disk!.data, FLAGS);
    await until("it has started or ended", 60_000, () => cramped.isReady || cramped.exit !== undefined);
    if (cramped.exit === undefined) await cramped.killGroup();
    else assert.match(cramped.stderr, /space|ENOSPC/i);
    disk!.clear();
    platform = await TestPlatform.start(disk!.data, FLAGS);
    await nothingIsLost();
    assert.deepEqual([(await record()).status, (await append()).status], [200, 204]);
    await nothingIsLost();
  },
);
