// The part of the suite that every target passes about tables that are removed while loads are on their way.
import assert from "node:assert/strict";
import { never } from "@millrace/base";
import type { Column, LoadOutcome, LoadRequest, PartitionLoad, Target } from "@millrace/ingest";
import type { ObjectStore } from "@millrace/stores";
import { stageLoad } from "./staged-fixture.ts";
import type { TargetRow } from "./target-rows.ts";

/** What these tests do with a target. */
export interface DropFixture {
  readonly target: Target;
  readonly staging: ObjectStore;
  rows(tableId: string): Promise<readonly TargetRow[]>;
  again(): Promise<Target>;
  stage(journal: string, begin: number, count: number): Promise<PartitionLoad>;
  load(tableId: string, ...partitions: readonly PartitionLoad[]): Promise<LoadOutcome>;
}

/**
 * Tables that are removed.
 * @param requestOf a load into a table by the suite's columns
 */
export function declareDropTests(
  test: (name: string, run: (fixture: DropFixture) => Promise<void>) => void,
  requestOf: (tableId: string, ...partitions: readonly PartitionLoad[]) => LoadRequest,
): void {
  test("drop: rows are gone, loads of its journals are done and make nothing, others begin anew", async (fixture) => {
    const { target } = fixture;
    const one = await fixture.stage("stream/s/k/p000", 0, 3);
    const two = await fixture.stage("stream/s/k/p001", 0, 2);
    const other = await fixture.stage("stream/s/other/p000", 0, 2);
    await fixture.load("main.gone", one, two);
    await fixture.load("main.gone", other);
    await fixture.load("main.stays", other);
    await target.drop("main.gone", [one.journal, two.journal, "stream/s/k/p002"], never);
    for (const drops of [target, await fixture.again()]) {
      const next = await fixture.stage(one.journal, one.end, 4);
      const unseen = await fixture.stage("stream/s/k/p002", 0, 1);
      const load = (...partitions: PartitionLoad[]): Promise<LoadOutcome> =>
        drops.load(requestOf("main.gone", ...partitions), never);
      assert.deepEqual(await load(one, two), { kind: "already" });
      assert.deepEqual(await load(next, unseen), { kind: "already" });
      assert.deepEqual(await fixture.rows("main.gone"), []);
    }
    assert.equal((await fixture.rows("main.stays")).length, 2);
    const forgotten = (await target.loadedEnds("main.gone", never)).get(other.journal);
    assert.equal(forgotten, undefined, "the table has nothing of it any more");
    await target.drop("main.gone", [one.journal], never);
    await target.drop("main.never_there", [], never);
    // The table is made anew by whoever has it next, with its own columns.
    const columns: readonly Column[] = [{ type: "body", name: "text" }];
    const life = "stream/s/k.1/p000";
    const partition = await stageLoad(fixture.staging, life, { columns, rows: [["a"], ["b"]], begin: 0 });
    await target.prepare("main.gone", columns, never);
    const request = { ...requestOf("main.gone", partition), columns };
    assert.deepEqual(await target.load(request, never), { kind: "loaded", rows: 2 });
    const values = (await fixture.rows("main.gone")).map((row) => row.values);
    assert.deepEqual(new Set(values.map(({ text }) => text)), new Set(["a", "b"]));
    assert.deepEqual(Object.keys(values[0]!), ["text"]);
    assert.deepEqual(await fixture.load("main.gone", two), { kind: "already" });
  });
}
