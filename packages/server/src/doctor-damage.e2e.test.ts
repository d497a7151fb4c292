// The doctor over data directories that a real platform wrote: sound ones, as it left them when it stopped and as a
// power cut would leave them, and copies of these that were damaged in every way the doctor is there to find. Whatever
// it finds, no file may change.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { silentLogger, systemClock, systemRandom, type WireError } from "@millrace/base";
import { Warehouse } from "@millrace/warehouse";
import { resolveConfig, flagSource } from "./config.ts";
import { COMPONENTS, type ComponentName } from "./components.ts";
import type { DoctorReport } from "./doctor-report.ts";
import { examineDataDirectory } from "./system-doctor.ts";
import { startPlatform, type Platform } from "./system-platform.ts";

const never = new AbortController().signal;
const running = new Set<Platform>();
const PARTITION = "stream/1/1/flights/flights/p000";
const COLUMNS = [
  { type: "uuid", name: "id" },
  { type: "body", name: "body" },
] as const;

suite("doctor", () => {
  let root = "";
  /** Copied while the platform ran, with nothing under way: what a power cut leaves. */
  let cut = "";
  /** After an orderly stop. */
  let stopped = "";
  /** Records that were accepted, and a warehouse that was told they were loaded. */
  let unloaded = "";

  before(async () => {
    root = mkdtempSync(join(tmpdir(), "millrace-doctor-"));
    [cut, stopped, unloaded] = ["cut", "stopped", "unloaded"].map((name) => join(root, name)) as [
      string,
      string,
      string,
    ];
    const platform = await start(stopped, COMPONENTS);
    await append(platform, "examples/foobar", 12, 6000);
    await ingest(platform, 400);
    await rowsAre(platform, 400);
    await persisted(stopped, 4);
    await sleep(400); // the log says that all of it is synced
    copy(stopped, cut);
    const busy = await examine(stopped).catch((error: WireError) => error);
    assert.match((busy as WireError).message, new RegExp(`in use by process ${process.pid}: stop it first`));
    await stop(platform);
    const other = await start(unloaded, ["broker", "warehouse", "http-source", "api"]);
    await ingest(other, 30);
    await stop(other);
  });

  after(async () => {
    for (const platform of running) await platform.stop(AbortSignal.abort());
    rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  });

  /** A copy with damage; looks for one that `expected` names, and for nothing worse than it elsewhere. */
  async function damaged(from: string, damage: (dir: string) => void | Promise<void>): Promise<DoctorReport> {
    const dir = mkdtempSync(join(root, "damaged-"));
    copy(from, dir);
    await damage(dir);
    return examineUnchanged(dir);
  }

  test("sound after a stop, and after a power cut -> says so, counts everything, changes no file", async () => {
    for (const dir of [stopped, cut]) {
      const report = await examineUnchanged(dir);
      assert.ok(report.sound, JSON.stringify(report));
      assert.equal(report.warnings, 0, JSON.stringify(report));
      const counts = Object.fromEntries(report.checks.map((check) => [check.name, check.counts]));
      assert.equal(counts["rows"]?.["compared"], 400);
      assert.equal(counts["rows"]?.["rows"], 400);
      assert.equal(counts["coverage"]?.["journals"], 2);
      assert.ok(counts["persisted fragments"]!["fragments"]! >= 4);
    }
  });

  test("twice, and then the platform -> all is as before", async () => {
    const dir = mkdtempSync(join(root, "again-"));
    copy(cut, dir);
    const first = await examine(dir);
    const second = await examine(dir);
    assert.deepEqual(second.checks.slice(1), first.checks.slice(1)); // others use the disk meanwhile
    const platform = await start(dir, COMPONENTS);
    await rowsAre(platform, 400);
    await stop(platform);
    assert.ok((await examine(dir)).sound);
  });

  test("persisted fragment: a flipped byte, a cut end, none at all -> found, by its name", async () => {
    const object = (dir: string): string => files(join(dir, "fragments", "examples/foobar"))[1]!;
    const flipped = await damaged(stopped, (dir) => flip(object(dir), 100));
    assertBad(
      flipped,
      "persisted fragments",
      new RegExp(`examples/foobar/${basename(object(stopped))} in file:`),
    );
    const short = await damaged(stopped, (dir) => truncateSync(object(dir), statSync(object(dir)).size - 1));
    assertBad(short, "persisted fragments", /is corrupt/);
    const gone = await damaged(stopped, (dir) => rmSync(object(dir)));
    assertBad(gone, "coverage", /examples\/foobar: offsets \[\d+, \d+\) are in no fragment/);
    assert.ok(problemsOf(gone, "persisted fragments").length === 0);
  });

  test("two contents for the same offsets -> found", async () => {
    const report = await damaged(stopped, (dir) => {
      const object = files(join(dir, "fragments", "examples/foobar"))[0]!;
      const [begin = "", end = ""] = basename(object).split("-");
      const content = Buffer.alloc(Number.parseInt(end, 16) - Number.parseInt(begin, 16), 120);
      const sum = createHash("sha1").update(content).digest("hex");
      writeFileSync(join(dirname(object), `${begin}-${end}-${sum}.raw`), content);
    });
    assertBad(report, "coverage", /examples\/foobar: offsets \[0, \d+\) have two contents/);
  });

  test("local fragment: a flipped byte -> found; one in bytes that the log still has -> healed, sound", async () => {
    const spool = (dir: string): string =>
      files(join(dir, "spools")).find((file) => statSync(file).size > 100)!;
    const bad = await damaged(stopped, (dir) => flip(spool(dir), 50));
    assertBad(bad, "local fragments", /spools\/.*\.raw, offset 0: /);
    const healed = await damaged(cut, (dir) => flip(spool(dir), 50));
    assert.ok(healed.sound, JSON.stringify(healed.checks));
  });

  test("a spool that is too short -> the log does not replay, and the file and offset are named", async () => {
    const spool = (dir: string): string =>
      files(join(dir, "spools")).find((file) => statSync(file).size > 100)!;
    const report = await damaged(stopped, (dir) => truncateSync(spool(dir), 10));
    assertBad(
      report,
      "local log",
      /spools\/.*\.raw, offset 10: the file ends here, but \d+ bytes were synced$/,
    );
    assert.equal(checkOf(report, "local fragments").verdict, "skipped");
    assert.notEqual(checkOf(report, "coordination store").verdict, "bad");
  });

  test("rot in the local log, in the store's log -> names file and offset, and checks the rest", async () => {
    for (const [dir, check, other] of [
      ["log", "local log", "coordination store"],
      ["coordination/log", "coordination store", "local log"],
    ] as const) {
      const report = await damaged(cut, (copied) => {
        const segment = files(join(copied, dir)).find((file) => file.endsWith(".seg"))!;
        flip(segment, 4200); // in its first group
      });
      assertBad(report, check, new RegExp(`${dir}/[0-9a-f]{16}\\.seg, offset \\d+: `));
      assert.equal(checkOf(report, other).verdict, "ok");
      assert.ok(checkOf(report, "persisted fragments").counts["fragments"]! >= 4);
    }
  });

  test("log or store gone while there are spools -> bad, not an empty platform", async () => {
    const log = await damaged(stopped, (dir) => rmSync(join(dir, "log"), { recursive: true }));
    assertBad(log, "local log", /the log is gone, but there are spools/);
    const store = await damaged(stopped, (dir) => rmSync(join(dir, "coordination"), { recursive: true }));
    assertBad(store, "coordination store", /the store is gone, but there are spools/);
  });

  test("rows that are not in the table -> found, with the place", async () => {
    const waiting = await examineUnchanged(unloaded);
    assert.ok(waiting.sound, JSON.stringify(waiting));
    assert.equal(checkOf(waiting, "rows").counts["waiting"], 30);
    const report = await damaged(unloaded, async (dir) => {
      const end = Number(/\[0, (\d+)\)/.exec(JSON.stringify(await headOf(dir)))?.[1]);
      await pretendLoaded(dir, end);
    });
    assertBad(report, "rows", /p000: offsets \[0, 65536\) hold 30 rows, main\.flights 0$/);
  });

  test("the warehouse is gone, or has less than was imported -> found, with the offsets", async () => {
    for (const left of ["nothing", "an empty one"]) {
      const report = await damaged(stopped, async (dir) => {
        rmSync(join(dir, "warehouse"), { recursive: true });
        if (left === "nothing") return;
        mkdirSync(join(dir, "warehouse"));
        await pretendLoaded(dir, 1);
      });
      const has = left === "nothing" ? 0 : 1;
      assertBad(
        report,
        "rows",
        new RegExp(
          `p000: imported up to offset \\d+ as the coordination store knows, but tables have it up to ${has}$`,
        ),
      );
    }
  });

  test("all persisted fragments of a journal are gone -> found, from its first offset on", async () => {
    const report = await damaged(stopped, (dir) => {
      for (const object of files(join(dir, "fragments", "examples/foobar"))) rmSync(object);
    });
    assertBad(
      report,
      "coverage",
      /examples\/foobar: offsets \[0, \d+\) are in no fragment, and nobody removes/,
    );
  });

  test("a table file that is none -> bad, and the rest is checked", async () => {
    const report = await damaged(stopped, (dir) => {
      writeFileSync(join(dir, "warehouse/warehouse.duckdb"), "no database");
    });
    assertBad(report, "rows", /warehouse\.duckdb: /);
    assert.equal(checkOf(report, "coverage").verdict, "ok");
  });

  test("what is kept aside, what the log does not know, staged leftovers, foreign objects -> warnings", async () => {
    const report = await damaged(stopped, (dir) => {
      writeFileSync(join(files(join(dir, "spools")).map(dirname)[0]!, "notes.txt"), "mine");
      writeFileSync(join(dir, "staging/stray.parquet"), "PAR1");
      writeFileSync(join(dir, "fragments/readme"), "mine");
    });
    assert.ok(report.sound);
    assert.deepEqual(
      report.checks.filter(({ verdict }) => verdict === "warn").map(({ name }) => name),
      ["persisted fragments", "quarantine", "staging"],
    );
    const kept = await damaged(stopped, (dir) =>
      cpSync(join(dir, "format.json"), join(dir, "quarantine/x/old.raw")),
    );
    assert.match(problemsOf(kept, "quarantine")[0]!, /^quarantine\/x\/old\.raw: \d+ bytes kept aside/);
  });

  test("a newer format -> refused, with both numbers", async () => {
    const refusal = damaged(stopped, (dir) => writeFileSync(join(dir, "format.json"), '{"format":9}'));
    await assert.rejects(refusal, /has format 9; this version of Millrace reads formats up to 1$/);
  });
});

async function start(data: string, components: readonly ComponentName[]): Promise<Platform> {
  const flags = { data, ports: "free", "journal.length": "8KiB", "broker.reserve": "1MiB" };
  const { config } = resolveConfig([flagSource(new Map(Object.entries(flags)))]);
  const onFatal = (error: unknown): void => {
    throw error;
  };
  const ports = { clock: systemClock, random: systemRandom, logger: silentLogger, onFatal };
  const platform = await startPlatform({ config, components }, ports, never);
  running.add(platform);
  return platform;
}

async function stop(platform: Platform): Promise<void> {
  running.delete(platform);
  await platform.stop(never);
}

async function append(platform: Platform, journal: string, times: number, bytes: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    const body = `${String(i).repeat(bytes)}\n`;
    const answer = await fetch(`${platform.endpoints.broker}/${journal}`, { method: "PUT", body });
    assert.equal(answer.status, 204);
  }
}

/** Makes source and sink, and sends records in batches, so that they make several frames. */
async function ingest(platform: Platform, records: number): Promise<void> {
  const sources = `${platform.endpoints.api}/v1/branches/default/sources`;
  await create(sources, { type: "http", name: "Flights", sourceId: "flights" });
  const table = { type: "duckdb", tableId: "main.flights", mapping: { columns: COLUMNS } };
  await create(`${sources}/flights/sinks`, { type: "table", name: "Flights", sinkId: "flights", table });
  const source = (await (await fetch(`${sources}/flights`)).json()) as { http: { url: string } };
  const headers = { "content-type": "application/x-ndjson" };
  for (let sent = 0; sent < records; sent += 10) {
    const body = Array.from({ length: 10 }, (_, i) => `{"n":${sent + i},"note":"${"x".repeat(60)}"}\n`).join(
      "",
    );
    const answer = await fetch(source.http.url, { method: "POST", headers, body });
    assert.equal(answer.status, 200, await answer.text());
  }
}

async function create(url: string, entity: object): Promise<void> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(entity) });
  assert.equal(answer.status, 202);
  let task = (await answer.json()) as { url: string; isFinished: boolean; error?: string };
  while (!task.isFinished) {
    await sleep(20);
    task = (await (await fetch(task.url)).json()) as typeof task;
  }
  assert.equal(task.error, undefined);
}

async function rowsAre(platform: Platform, expected: number): Promise<void> {
  await until(async () => {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ query: "select count(*) as n from main.flights" });
    const answer = await fetch(`${platform.endpoints.warehouse}/sql`, { method: "POST", headers, body });
    const { rows } = (await answer.json()) as { rows?: readonly { n: number }[] };
    return rows?.[0]?.n === expected;
  });
}

/** Waits until the store has at least so many fragments of the examples. */
async function persisted(data: string, count: number): Promise<void> {
  const dir = join(data, "fragments/examples/foobar");
  await until(() => files(dir).length >= count);
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + 30_000;
  while (!(await holds())) {
    assert.ok(performance.now() < endMs, "not within 30 s");
    await sleep(20);
  }
}

/** Tells the warehouse of `dir` that the partition is loaded up to `end`, without a row. */
async function pretendLoaded(dir: string, end: number): Promise<void> {
  const warehouse = await Warehouse.start(
    {
      file: join(dir, "warehouse/warehouse.duckdb"),
      stagingDir: `${join(dir, "staging")}/`,
      tempDir: join(dir, "warehouse/tmp"),
      reserveBytes: 0,
      memoryBytes: 2 ** 27,
      threads: 1,
      listenHost: "127.0.0.1",
      listenPort: 0,
      token: "",
      innerToken: "",
      logLevel: "error",
    },
    { clock: systemClock, logger: silentLogger },
  );
  const partitions = [{ journal: PARTITION, begin: 0, end, objects: [], startsTarget: true }];
  const target = { kind: "duckdb", tableId: "main.flights" } as const;
  const outcome = await warehouse.load({ target, columns: COLUMNS, partitions }, never);
  assert.deepEqual(outcome, { kind: "loaded", rows: 0 });
  await warehouse.close(never);
}

/** Where the only partition of `dir` ends, as `[0, end)`. */
async function headOf(dir: string): Promise<string> {
  const { counts } = checkOf(await examine(dir), "coverage");
  return `[0, ${counts["bytes"]})`;
}

function copy(from: string, to: string): void {
  cpSync(from, to, { recursive: true, filter: (path) => !path.endsWith(".sock") });
}

function flip(file: string, offset: number): void {
  const bytes = readFileSync(file);
  bytes[offset]! ^= 0x40;
  writeFileSync(file, bytes);
}

/** Paths of all files below `dir`, sorted. */
function files(dir: string): readonly string[] {
  try {
    const entries = readdirSync(dir, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
  } catch {
    return [];
  }
}

function hashOf(dir: string): string {
  const hash = createHash("sha1");
  for (const file of files(dir))
    hash.update(relative(dir, file)).update("\0").update(readFileSync(file)).update("\0");
  return hash.digest("hex");
}

function examine(dir: string): Promise<DoctorReport> {
  return examineDataDirectory(dir, {}, () => undefined, never);
}

async function examineUnchanged(dir: string): Promise<DoctorReport> {
  const hash = hashOf(dir);
  const report = await examine(dir);
  assert.equal(hashOf(dir), hash, "no file changed");
  return report;
}

function checkOf(report: DoctorReport, name: string): DoctorReport["checks"][number] {
  const check = report.checks.find((one) => one.name === name);
  assert.ok(check !== undefined, name);
  return check;
}

function problemsOf(report: DoctorReport, name: string): readonly string[] {
  return checkOf(report, name).problems.map(({ message }) => message);
}

function assertBad(report: DoctorReport, name: string, message: RegExp): void {
  assert.equal(report.sound, false, JSON.stringify(report));
  assert.equal(checkOf(report, name).verdict, "bad", JSON.stringify(report.checks));
  const problems = problemsOf(report, name);
  assert.ok(
    problems.some((problem) => message.test(problem)),
    `${message.source} in ${problems.join("\n")}`,
  );
}
