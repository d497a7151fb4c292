// A real process over a real disk, killed at random moments: what it had acknowledged is there after each restart.
import { deepEqual, equal, ok } from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { MetricsRegistry, never, silentLogger, systemClock, systemRandom, text, utf8 } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { openSystemDisk } from "@millrace/wal";
import { openDurableStore } from "./durable-store.ts";
import type { EmbeddedStore } from "./embedded-store.ts";
import { prefixRange } from "./key.ts";

const ROUNDS = 5;
const KEYS = 20;
const [, , mode, childDir, childRound] = process.argv;

async function withStore<T>(dir: string, use: (store: EmbeddedStore) => Promise<T>): Promise<T> {
  const disk = await openSystemDisk(dir);
  const store = await openDurableStore({
    disk,
    dir: "coordination",
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    metrics: new MetricsRegistry(),
    onFatal: (error) => {
      throw error;
    },
    historyRevisionsMax: 200,
    checkpointLogBytes: 50_000,
  });
  try {
    return await use(store);
  } finally {
    await store.close();
    await disk.close();
  }
}

/** Writes without end, a few at a time, and says what was acknowledged: `revision key value`. */
async function writeUntilKilled(dir: string, round: string): Promise<void> {
  await withStore(dir, async (store) => {
    const own = await store.grantLease(1000, never);
    await store.txn(
      { compare: [], success: [{ kind: "put", key: "own", value: utf8(round), lease: own }] },
      never,
    );
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let i = 0; ; i++) {
        const key = `k${(i * 8 + writer) % KEYS}`;
        const value = `${round}.${writer}.${i} ${"x".repeat(200)}`;
        const put = { kind: "put", key, value: utf8(value) } as const;
        const { header } = await store.txn({ compare: [], success: [put] }, never);
        process.stdout.write(`${header.revision} ${key} ${value}\n`);
      }
    });
    await Promise.all(writers);
  });
}

if (mode === "child") {
  await writeUntilKilled(childDir!, childRound!);
} else {
  test("killed at random moments -> every acknowledged write is there, revisions go on", async () => {
    const dir = await mkdtemp(join(tmpdir(), "millrace-metadata-"));
    const random = seededRandom("crash");
    try {
      const newest = new Map<string, { revision: number; value: string }>();
      const given = new Set<string>();
      let clusterId = 0n;
      let highest = 0;
      for (let round = 0; round < ROUNDS; round++) {
        for (const line of await killedChild(dir, round, 20 + random.below(250))) {
          const [revision, key, ...value] = line.split(" ");
          const known = newest.get(key!);
          ok(!given.has(revision!), "no revision is given twice");
          given.add(revision!);
          if (known !== undefined && known.revision > Number(revision)) continue;
          newest.set(key!, { revision: Number(revision), value: value.join(" ") });
        }
        ok(newest.size > 0, "the child wrote");
        // Twice: recovery is idempotent.
        for (let again = 0; again < 2; again++) {
          await withStore(dir, async (store) => {
            clusterId ||= store.header.clusterId;
            equal(store.header.clusterId, clusterId);
            ok(store.header.revision > highest - again);
            highest = store.header.revision;
            equal((await store.range({ key: "own" }, never)).count, 0, "D16");
            const { kvs } = await store.range(prefixRange("k"), never);
            for (const [key, { revision, value }] of newest) {
              const kv = kvs.find((kv) => kv.key === key);
              ok(
                kv !== undefined && kv.modRevision >= revision,
                `${key} is at its acknowledged revision or later`,
              );
              if (kv.modRevision === revision) deepEqual(text(kv.value), value);
            }
          });
        }
      }
    } finally {
      await rm(dir, { recursive: true });
    }
  });
}

/** Kills a child `afterLines` acknowledgements after its start. @returns whole lines that it wrote */
async function killedChild(dir: string, round: number, afterLines: number): Promise<readonly string[]> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), "child", dir, String(round)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (lines.length === afterLines) child.kill("SIGKILL");
  }
  await closed;
  // The last line may be cut; its write is acknowledged or not, so nothing is expected of it.
  return lines.slice(0, -1);
}
