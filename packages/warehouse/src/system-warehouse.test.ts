// The warehouse's process as a whole: it comes back whatever ended it, and never outlives its parent. Where the parent
// must be a process of its own, it is this file once more: `node system-warehouse.test.js <part> <directory>`.
import assert from "node:assert/strict";
import { fork, spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";
import { after, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { never, silentLogger, systemClock, type Clock, type WireError } from "@millrace/base";
import { crc32c } from "@node-rs/crc32";
import { DuckDBInstance } from "@duckdb/node-api";
import type { LoadRequest } from "@millrace/ingest";
import { QUERIES_MAX } from "./limits.ts";
import type { FromWarehouse, ToWarehouse, WarehouseOptions } from "./process-messages.ts";
import { Warehouse } from "./system-warehouse.ts";

const THIS_FILE = fileURLToPath(import.meta.url);
const LIMIT_MS = 60_000;

function optionsIn(directory: string): WarehouseOptions {
  mkdirSync(join(directory, "tmp"), { recursive: true });
  return {
    file: join(directory, "w.db"),
    stagingDir: `${directory}/staging/`,
    tempDir: join(directory, "tmp"),
    reserveBytes: 0,
    memoryBytes: 256 * 2 ** 20,
    threads: 1,
    listenHost: "127.0.0.1",
    listenPort: 0,
    token: "",
    innerToken: "",
    logLevel: "error",
  };
}

async function startIn(
  t: TestContext,
  directory: string,
  options: Partial<WarehouseOptions> = {},
): Promise<Warehouse> {
  const warehouse = await Warehouse.start({ ...optionsIn(directory), ...options }, ports);
  t.after(() => warehouse.close(never));
  warehouse.admit([]);
  return warehouse;
}

/** Pauses are a tenth of what they are. */
const hurried: Clock = { ...systemClock, after: (ms, run) => systemClock.after(ms / 10, run) };

async function until(claim: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + LIMIT_MS;
  while (!(await holds())) {
    assert.ok(performance.now() < endMs, `in time: ${claim}`);
    await sleep(10);
  }
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

const ports = { clock: hurried, logger: silentLogger };
const columns = [{ type: "body", name: "body" }] as const;

/** This file's other lives. */
const PARTS: Readonly<Record<string, (directory: string) => Promise<void>>> = {
  /** Its warehouse dies while there is no file left to make another with. */
  async scarce(directory) {
    const warehouse = await Warehouse.start(optionsIn(directory), ports);
    const held: number[] = [];
    try {
      for (;;) held.push(openSync("/dev/null", "r"));
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, "EMFILE");
    }
    process.kill(warehouse.pid!, "SIGKILL");
    await until("it says why there is none", () => /EMFILE/.test(warehouse.unhealthy() ?? ""));
    for (const file of held) closeSync(file);
    assert.deepEqual(await warehouse.loadedEnds("main.t", never), new Map());
    assert.equal(warehouse.unhealthy(), undefined);
    await warehouse.close(never);
    process.exit(0);
  },
  /** Its warehouse is frozen when it exits. */
  async leaves(directory) {
    const warehouse = await Warehouse.start(optionsIn(directory), ports);
    process.kill(warehouse.pid!, "SIGSTOP");
    process.stdout.write(`${warehouse.pid}\n`);
    process.exit(0);
  },
};

const part = PARTS[process.argv[2] ?? ""];
if (part !== undefined) await part(process.argv[3]!);
else runTests();

function runTests(): void {
  const scratch = mkdtempSync(join(tmpdir(), "millrace-warehouse-"));

  test("warehouse: no file left to start it again with -> tried again until there is", () => {
    const args = ["-c", 'ulimit -n 512 && exec "$0" "$@"', process.execPath, THIS_FILE, "scarce"];
    const { status, stderr } = spawnSync("/bin/sh", [...args, join(scratch, "scarce")], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
  });

  test("warehouse: frozen -> named, then killed and started again; a load that waited for it is done", async (t) => {
    const warehouse = await startIn(t, join(scratch, "frozen"));
    const { pid } = warehouse;
    process.kill(pid!, "SIGSTOP");
    const waits = warehouse.loadedEnds("main.t", never);
    const names = until("it is named", () => /does not answer/.test(warehouse.unhealthy() ?? ""));
    await assert.rejects(waits, { code: "OUTCOME_UNKNOWN" });
    await names;
    assert.deepEqual(await warehouse.loadedEnds("main.t", never), new Map());
    assert.notEqual(warehouse.pid, pid);
    await warehouse.close(never);
  });

  test("warehouse: stopped while it is frozen -> gone soon after the time for stopping is over", async (t) => {
    const warehouse = await startIn(t, join(scratch, "stopped"));
    const pid = warehouse.pid!;
    process.kill(pid, "SIGSTOP");
    await warehouse.close(AbortSignal.abort(new Error("over")));
    assert.ok(!isAlive(pid));
  });

  test("warehouse: its parent exits while it is frozen -> gone", async () => {
    const args = [THIS_FILE, "leaves", join(scratch, "left")];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    await until("it is gone", () => !isAlive(Number(stdout)));
  });

  test("warehouse: its parent is gone while a query runs -> ends at once, not when the query does", async () => {
    const child = fork(fileURLToPath(new URL("system-warehouse-main.js", import.meta.url)), [], {
      serialization: "advanced",
    });
    const ready = new Promise<number>((resolve) => {
      child.on("message", (message: FromWarehouse) => message.kind === "ready" && resolve(message.port));
    });
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const start: ToWarehouse = { kind: "start", options: optionsIn(join(scratch, "orphan")) };
    child.send(start);
    const url = `http://127.0.0.1:${await ready}`;
    const answer = query(url, "select count(*) from range(1000000000000) t(i) where i % 7 = 3");
    answer.catch(() => undefined);
    await until("the query runs", async () => cpuTicks(child.pid!) > 20);
    const beganMs = performance.now();
    child.disconnect();
    await ended;
    assert.ok(performance.now() - beganMs < 5000);
  });

  test("warehouse: as many queries run as may -> loads are done and /readyz answers meanwhile", async (t) => {
    const directory = join(scratch, "busy");
    const stagingDir = `${directory}/staging/`;
    mkdirSync(stagingDir, { recursive: true });
    const warehouse = await startIn(t, directory);
    const url = `http://127.0.0.1:${warehouse.address.port}`;
    const endless = "select count(*) from range(1000000000000) t(i) where i % 7 = 3";
    const over = new AbortController();
    const running = Array.from({ length: QUERIES_MAX }, () => query(url, endless, over.signal));
    let ended = 0;
    const settled = Promise.allSettled(running.map((one) => one.finally(() => ended++)));
    await until("the queries run", () => cpuTicks(warehouse.pid!) > 50);
    assert.equal((await warehouse.load(await stageRows(stagingDir, 0), never)).kind, "loaded");
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
    assert.equal(ended, 0, "none of them made room");
    over.abort();
    await settled;
  });

  const isLinux = process.platform === "linux";
  test(
    "warehouse: every thread of it is nicer than its parent",
    { skip: !isLinux && "not Linux" },
    async (t) => {
      const warehouse = await startIn(t, join(scratch, "nice"), { threads: 2 });
      await query(`http://127.0.0.1:${warehouse.address.port}`, "select sum(i) from range(1000000) t(i)");
      const expected = Math.min(19, getPriority() + 10);
      const threads = readdirSync(`/proc/${warehouse.pid}/task`);
      const nice = threads.map((thread) => niceOf(`/proc/${warehouse.pid}/task/${thread}/stat`));
      assert.deepEqual(new Set(nice), new Set([expected]), `${threads.length} threads`);
    },
  );

  test("warehouse: stopped -> the engine's own log is in its file", async (t) => {
    const directory = join(scratch, "clean");
    const warehouse = await startIn(t, directory);
    await warehouse.prepare("main.t", columns, never);
    assert.ok(existsSync(join(directory, "w.db.wal")));
    await warehouse.close(never);
    assert.ok(!existsSync(join(directory, "w.db.wal")));
  });

  test("warehouse: less room than the reserve -> not ready", async (t) => {
    const warehouse = await startIn(t, join(scratch, "reserve"), { reserveBytes: Number.MAX_SAFE_INTEGER });
    const answer = await fetch(`http://127.0.0.1:${warehouse.address.port}/readyz`);
    assert.equal(answer.status, 503);
    assert.match(await answer.text(), /^free space \d+ below the reserve \d+\n$/);
  });

  fullDisk(join(scratch, "full"));
  after(() => rmSync(scratch, { recursive: true, force: true }));
}

/** Fields of a `stat` file behind the command's name, which may have spaces. */
function statOf(file: string): readonly string[] {
  const text = readFileSync(file, "utf8");
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** Clock ticks that a process has computed. */
function cpuTicks(pid: number): number {
  return Number(statOf(`/proc/${pid}/stat`)[11]);
}

function niceOf(file: string): number {
  return Number(statOf(file)[16]);
}

async function query(
  url: string,
  sql: string,
  signal: AbortSignal = never,
): Promise<{ status: number; text: string }> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/sql`, {
    method: "POST",
    headers,
    body: JSON.stringify({ query: sql }),
    signal,
  });
  return { status: response.status, text: await response.text() };
}

const ROWS = 20_000;

/** A load of rows that do not compress, `n`-th of its partition; staged outside of the file system that gets full. */
async function stageRows(stagingDir: string, n: number): Promise<LoadRequest> {
  const path = `${n}.parquet`;
  const memory = await DuckDBInstance.create(":memory:");
  const connection = await memory.connect();
  await connection.run(
    `COPY (SELECT i AS _offset, md5((i * 7)::VARCHAR) || md5(i::VARCHAR) AS c0
     FROM range(${n * ROWS}, ${(n + 1) * ROWS}) t(i)) TO '${stagingDir}${path}' (FORMAT parquet)`,
  );
  connection.closeSync();
  memory.closeSync();
  const bytes = readFileSync(`${stagingDir}${path}`);
  const object = { path, sinkVersion: 1, rows: ROWS, bytes: bytes.length, crc32c: crc32c(bytes), columns };
  const [begin, end] = [n * ROWS, (n + 1) * ROWS];
  return {
    target: { kind: "duckdb", tableId: "main.t" },
    columns,
    partitions: [{ journal: "a/b", begin, end, objects: [object], startsTarget: n === 0 }],
  };
}

function fullDisk(mount: string): void {
  mkdirSync(mount, { recursive: true });
  const mounted = (options: string): boolean =>
    spawnSync("mount", ["-t", "tmpfs", "-o", options, "millrace-test", mount]).status === 0;
  const isMounted = mounted("size=70m");
  const skip = isMounted ? false : "mounting a small file system is not permitted here";
  after(() => isMounted && spawnSync("umount", ["-l", mount]));

  test(
    "warehouse: a checkpoint meets a full disk -> told, and loads when there is room",
    { skip },
    async (t) => {
      const stagingDir = `${mount}-staging/`;
      mkdirSync(stagingDir);
      const warehouse = await startIn(t, mount, { stagingDir });
      const url = `http://127.0.0.1:${warehouse.address.port}`;
      const pid = warehouse.pid;
      const count = "select count(*) as n from main.t";
      let loaded = 0;
      const load = async (): Promise<void> => {
        await warehouse.load(await stageRows(stagingDir, loaded), never);
        loaded++;
      };
      await assert.rejects(
        async () => {
          while (loaded < 100) await load();
        },
        (error: WireError) => error.code === "UNAVAILABLE" && /No space left/.test(error.message),
      );
      // It may have ended by now; until then it must not blame the query.
      assert.equal(
        await query(url, count).then(
          ({ status }) => status,
          () => 503,
        ),
        503,
      );
      await until("it says that it is away", () => /not running/.test(warehouse.unhealthy() ?? ""));
      assert.ok(mounted("remount,size=400m"));
      await load();
      assert.notEqual(warehouse.pid, pid);
      assert.equal(warehouse.unhealthy(), undefined);
      assert.match((await query(url, count)).text, new RegExp(`"n":${loaded * ROWS}\\b`));
    },
  );
}
