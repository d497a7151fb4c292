// A real process on a real disk, killed again and again: what it acknowledged is there, byte by byte.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { MetricsRegistry, never, silentLogger, systemClock, systemRandom } from "@millrace/base";
import { openSystemDisk } from "@millrace/wal";
import { openSpools } from "./durable-spools.ts";
import { contentOf } from "./spool-model.ts";
import type { Spool } from "./spools.ts";

const ROUNDS = 6;
const child = new URL("./spool-crash-child.js", import.meta.url).pathname;

interface Acknowledged {
  readonly begin: number;
  readonly end: number;
  readonly id: number;
}

/** Runs the child until it has acknowledged some appends, then kills it. @returns its ledger by journal */
function killed(
  root: string,
  first: number,
  ledger: Map<string, Acknowledged[]>,
  lines: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const running = spawn(process.execPath, [child, root, String(first)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    running.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      if (text.split("\n").length > lines) running.kill("SIGKILL");
    });
    running.on("error", reject);
    running.on("close", (_code, signal) => {
      if (signal !== "SIGKILL") return reject(new Error(`the child ended by itself: ${signal}`));
      let last = first;
      for (const line of text.split("\n").slice(0, -1)) {
        const [journal, begin, end, id] = line.split(" ") as [string, string, string, string];
        const list = ledger.get(journal) ?? [];
        ledger.set(journal, list);
        list.push({ begin: Number(begin), end: Number(end), id: Number(id) });
        last = Math.max(last, Number(id));
      }
      resolve(last + 1000);
    });
  });
}

async function readAll(spool: Spool): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const { begin, end } of spool.fragments()) {
    assert.equal(begin, at);
    for (; at < end; at += parts.at(-1)!.length) parts.push(await spool.read(at, 1024 * 1024, never));
  }
  return Buffer.concat(parts);
}

test("killed at random moments -> every acknowledged append is there; a second recovery finds the same", async () => {
  const root = await mkdtemp(join(tmpdir(), "spools-crash-"));
  const ledger = new Map<string, Acknowledged[]>();
  let next = 1;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      next = await killed(root, next, ledger, 20 + systemRandom.below(400));
      const seen: string[] = [];
      for (const again of [false, true]) {
        const disk = await openSystemDisk(root);
        const ports = { disk, clock: systemClock, random: systemRandom, logger: silentLogger };
        const onFatal = (error: Error): void => assert.ifError(error);
        const spools = await openSpools({ ...ports, metrics: new MetricsRegistry(), onFatal }, {}, never);
        for (const [journal, appends] of ledger) {
          const spool = await spools.claim({ journal, createRevision: 1, epoch: 1 }, 0);
          const bytes = await readAll(spool);
          assert.equal(bytes.length, spool.end);
          for (const { begin, end, id } of appends) {
            assert.deepEqual(
              bytes.subarray(begin, end),
              Buffer.from(contentOf(id, end - begin)),
              `append ${id}`,
            );
          }
          const sums = spool.fragments().map((fragment) => fragment.sum());
          if (again) assert.equal(`${journal} ${spool.end} ${sums.join()}`, seen.shift());
          else seen.push(`${journal} ${spool.end} ${sums.join()}`);
        }
        await spools.close();
        await disk.close();
      }
    }
    assert.ok([...ledger.values()].every((appends) => appends.length > 10));
  } finally {
    await rm(root, { recursive: true });
  }
});
