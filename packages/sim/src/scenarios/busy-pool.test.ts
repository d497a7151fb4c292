// D7, on the real disk: the log's sync does not stand in line with the process's shared I/O pool.
import assert from "node:assert/strict";
import { pbkdf2 } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { utf8 } from "@millrace/base";
import { openSystemDisk } from "@millrace/wal";

/** Several times as many as the pool has threads. */
const JOBS = 16;
const ROUNDS = 150_000;

test("D7: the shared pool is busy for seconds -> writes and syncs are done long before", async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-pool-"));
  const disk = await openSystemDisk(folder);
  const logged = (position: number): Promise<void> =>
    disk.run("log", [
      { kind: "write", path: "file", position, bytes: utf8("synced") },
      { kind: "sync", path: "file" },
    ]);
  try {
    await logged(0); // Threads start with their first work.
    let done = 0;
    const jobs = Array.from({ length: JOBS }, () => {
      return new Promise<void>((resolve, reject) => {
        pbkdf2("secret", "salt", ROUNDS, 64, "sha512", (error) => {
          done++;
          if (error === null) resolve();
          else reject(error);
        });
      });
    });
    for (let i = 1; i <= 10; i++) await logged(i);
    // In the pool's line it would come behind all but the last few.
    assert.ok(done < JOBS / 2, `${done} of ${JOBS} jobs were done before`);
    await Promise.all(jobs);
  } finally {
    await disk.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
