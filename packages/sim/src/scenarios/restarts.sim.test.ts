// D1, D17, D19: what a restart must not forget, nor bring back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { text, utf8, WireError } from "@millrace/base";
import { appendOnce, applyJournals, getJournal, listFragments, readHead } from "@millrace/client";
import { EMPTY_LABELS, labelSet, type LabelSelector } from "@millrace/protocol";
import { RawJournal } from "../raw-journal.ts";
import { readWhole } from "../raw-journals.ts";
import { LOCAL_PREFIX, RAW_PREFIX } from "../world.ts";
import { Stage } from "./stage.ts";

const NOTHING = { kind: "bytes", bytes: [] } as const;

function local(stage: Stage): Promise<number> {
  return stage.finish(
    (async () => {
      const { broker, process } = stage.node;
      let count = 0;
      for await (const { spec } of listFragments(
        broker.transport,
        { journal: stage.journal.name },
        process.signal,
      )) {
        if (spec.backingStore === "") count++;
      }
      return count;
    })(),
  );
}

/** Appends; then everything that the journal has is in its store, and nothing of it on the disk. */
async function persistAll(stage: Stage): Promise<void> {
  await stage.append("one;".repeat(600));
  await stage.append("two;".repeat(600));
  // The flush interval closes the last fragment, behind a pulse.
  await stage.pass(200_000);
  assert.equal(await local(stage), 0);
}

const PERSISTED = { fragmentBytes: 2048, flushIntervalMs: 60_000 } as const;

for (const ending of ["close", "kill", "crash"] as const) {
  test(`D1: everything persisted, then twice ${ending} and start -> the head is where it was`, async () => {
    const stage = new Stage(`persisted ${ending}`, PERSISTED);
    await stage.start();
    await persistAll(stage);
    for (let life = 0; life < 2; life++) {
      await stage[ending]();
      await stage.start();
    }
    assert.equal(await stage.append("three;"), "acknowledged");
    assert.equal(stage.journal.model.end, 4800 + 6);
    await stage.end();
  });
}

test("D1: everything persisted, and a listing that shows less after the restart -> offsets go on", async () => {
  const stage = new Stage("stale listing", PERSISTED);
  await stage.start();
  await persistAll(stage);
  await stage.close();
  const { fragments } = stage.world;
  const hidden = fragments.keys().filter((key) => key.startsWith(`${stage.journal.name}/`));
  const objects = hidden.map((key) => ({ key, bytes: fragments.peek(key)! }));
  for (const { key } of objects) fragments.delete(key);
  const { broker, process } = await stage.startUnchecked();
  const { writeHead } = await stage.finish(readHead(broker.transport, stage.journal.name, process.signal));
  assert.equal(writeHead, 4800);
  assert.equal(await stage.append("three;"), "acknowledged");
  for (const { key, bytes } of objects) fragments.set(key, bytes);
  await stage.pass(61_000); // until the next listing
  await stage.end();
});

test("D17: registers survive power cuts, a recycled log, and a clean restart with nothing local", async () => {
  const stage = new Stage("registers", { ...PERSISTED, segmentBytes: 128 * 1024 });
  const fence: LabelSelector = { include: labelSet(["fence", "mine"]), exclude: EMPTY_LABELS };
  const stale: LabelSelector = { include: labelSet(["fence", "other"]), exclude: EMPTY_LABELS };
  const name = `${RAW_PREFIX}registers`;
  const ask = async (checkRegisters: LabelSelector): Promise<string> => {
    const { broker, process } = stage.node;
    const asked = appendOnce(broker.transport, name, NOTHING, { checkRegisters }, process.signal);
    return stage.finish(asked.then(() => "ok").catch((error: unknown) => WireError.from(error).code));
  };
  const { broker, process } = await stage.start();
  const unionRegisters = labelSet(["fence", "mine"]);
  const bytes = { kind: "bytes", bytes: [utf8("x".repeat(3000))] } as const;
  await stage.finish(appendOnce(broker.transport, name, bytes, { unionRegisters }, process.signal));
  const endings = ["crash", "fill", "crash", "flush", "close", "close", "kill"] as const;
  for (const ending of endings) {
    if (ending === "fill") for (let i = 0; i < 60; i++) await stage.append("fills the log;".repeat(800));
    else if (ending === "flush") await stage.pass(200_000);
    else {
      await stage[ending]();
      await stage.start();
    }
    assert.deepEqual([ending, await ask(fence), await ask(stale)], [ending, "ok", "REGISTER_MISMATCH"]);
  }
  assert.ok((stage.world.tally.get("segments recycled") ?? 0) > 0);
  await stage.end();
});

test("D1: deleted and created again, the power cut at each operation meanwhile -> nothing is inherited", async () => {
  const name = `${LOCAL_PREFIX}again`;
  for (let after = 0; after < 16; after++) {
    const stage = new Stage(`again ${after}`);
    let { broker, process } = await stage.start();
    const append = (what: string) =>
      appendOnce(broker.transport, name, { kind: "bytes", bytes: [utf8(what)] }, {}, process.signal);
    await stage.finish(append("first life;"));
    const { modRevision } = await stage.finish(getJournal(broker.transport, name, process.signal));
    let left = after;
    let wasCut = false;
    stage.world.onDiskOp = () => {
      if (left-- === 0) stage.world.cut(process);
    };
    try {
      const change = { expectModRevision: modRevision, delete: name };
      await stage.finish(applyJournals(broker.transport, [change], process.signal));
      await stage.finish(append("second life;"));
      await stage.pass(100);
    } catch {
      wasCut = true;
    }
    stage.world.onDiskOp = undefined;
    stage.crash();
    ({ broker, process } = await stage.start());
    await stage.finish(append("after;"));
    const content = text(await stage.finish(readWhole(stage.world, stage.node, name)));
    const possible = ["first life;after;", "after;", "second life;after;"];
    assert.ok(possible.includes(content), `${after}: ${content}`);
    assert.ok(wasCut || content === "second life;after;", `${after}: ${content}`);
    await stage.end();
  }
});

test("D19: a journal without stores keeps its fragments over restarts, however many there are", async () => {
  const stage = new Stage("without stores", { fragmentBytes: 1024, segmentBytes: 128 * 1024 });
  const journal = new RawJournal(`${LOCAL_PREFIX}kept`);
  await stage.start();
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 30; i++) await stage.append(`${round}/${i};`.repeat(60), journal);
    if (round % 2 === 0) stage.crash();
    else await stage.close();
    await stage.start();
    journal.checkWhole(await stage.finish(readWhole(stage.world, stage.node, journal.name)));
  }
  assert.ok(journal.model.end > 25_000);
  await stage.end();
});
