// D2: a file of the data directory that is gone, or cut short, while no process runs: the next start is refused, naming
// file and offset, or everything that was acknowledged is there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { WireError } from "@millrace/base";
import { filesOf } from "@millrace/wal/testkit";
import { Stage } from "./stage.ts";

type Ending = "close" | "kill" | "crash";

interface Damage {
  readonly path: string;
  /** Length that is left, of how many bytes; undefined: the file is gone. */
  readonly kept: number | undefined;
}

/** Journals with and without a store, rows, checkpoints, and a segment that was changed; the same for one ending. */
async function ended(ending: Ending): Promise<Stage> {
  const stage = new Stage(`lost files ${ending}`, { segmentBytes: 128 * 1024, fragmentBytes: 8192 });
  await stage.start();
  for (let i = 0; i < 20; i++) {
    await stage.append(`${i};`.repeat(4000), i % 2 === 0 ? stage.journal : stage.world.passing.current);
    if (i % 4 === 0) await stage.send(5);
  }
  await stage.pass(1000);
  await stage[ending]();
  return stage;
}

/** Damages the disk as `ended` left it and starts. @returns the refusal */
async function startDamaged(ending: Ending, { path, kept }: Damage): Promise<WireError | undefined> {
  const stage = await ended(ending);
  const { disk } = stage.world;
  if (kept === undefined) disk.perform({ kind: "remove", path }, "bulk");
  else disk.perform({ kind: "truncate", path, bytes: kept }, "bulk");
  try {
    await stage.start();
  } catch (error) {
    assert.ok(error instanceof WireError && error.code === "CORRUPT", `${path} ${kept}: ${String(error)}`);
    assert.match(error.message, /^[^ ,]+(?: and [^ ,]+)?, offset \d+: /);
    return error;
  }
  await stage.end();
  return undefined;
}

function damagesOf(path: string, bytes: number): Damage[] {
  const places = [undefined, 0, bytes >> 1, bytes - 1];
  return places
    .filter((kept) => kept === undefined || (kept >= 0 && kept < bytes))
    .map((kept) => ({ path, kept }));
}

for (const ending of ["close", "kill", "crash"] as const) {
  test(`D2: any file is gone or cut short after a ${ending} -> refused, or nothing acknowledged is lost`, async () => {
    const { world } = await ended(ending);
    const refused = new Map<string, number>();
    for (const { path, bytes } of filesOf(world.disk)) {
      for (const damage of damagesOf(path, bytes)) {
        const refusal = await startDamaged(ending, damage);
        if (refusal !== undefined) refused.set(path, (refused.get(path) ?? 0) + 1);
        const cutSegment = path.endsWith(".seg") && damage.kept !== undefined;
        if (cutSegment) assert.equal(refusal?.facts["path"], path, `${path} cut at ${damage.kept} is taken`);
      }
    }
    assert.ok(refused.size >= 5, JSON.stringify([...refused]));
  });
}
