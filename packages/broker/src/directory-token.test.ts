// The token of a data directory while its broker runs.
import assert from "node:assert/strict";
import { beforeEach, suite, test } from "node:test";
import { never, silentLogger, text, utf8 } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import type { Spools, StoreMark } from "@millrace/fragments";
import { keyOf, type CoordinationStore } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { fateOfDirectory, findDirectory } from "./directory-claim.ts";
import { keepToken } from "./directory-token.ts";
import { DIRECTORY_LOOK_MS, LOOKS_PER_TOKEN } from "./limits.ts";
import { leaveMark } from "./store-mark.ts";

const OF = { root: "/gazette/cluster", broker: { zone: "z", suffix: "b" }, directory: "d" };
const KEY = keyOf(`!millrace/directories#${OF.root}#d`);
const MINUTE_MS = DIRECTORY_LOOK_MS * LOOKS_PER_TOKEN;

suite("the token of a directory in use", () => {
  let agenda: Agenda;
  let coordination: CoordinationStore & { close(): Promise<void> };
  let mark: StoreMark | undefined;
  let isFull: boolean;
  let seenRevision: number;
  let failed: unknown;
  let stop: AbortController;

  beforeEach(async () => {
    agenda = new Agenda();
    const clock = new SimulatedClock(agenda);
    coordination = await openMemoryStore(clock, seededRandom("tokens"));
    [mark, isFull, seenRevision, failed] = [undefined, false, 0, undefined];
    const spools = {
      get mark() {
        return mark;
      },
      setMark: (next: StoreMark) => {
        if (isFull) return Promise.reject(new Error("no space"));
        mark = next;
        return Promise.resolve();
      },
    } as unknown as Spools;
    const ports = { coordination, spools, clock, random: seededRandom("draws"), logger: silentLogger };
    await leaveMark(ports, OF, 7n, never);
    stop = new AbortController();
    const running = keepToken({ ...ports, seenRevision: () => seenRevision }, OF, stop.signal);
    void running.catch((error: unknown) => {
      if (!stop.signal.aborted) failed = error;
    });
  });

  async function pass(ms: number): Promise<void> {
    await agenda.advance(ms);
    for (let i = 0; i < 10; i++) await settle();
  }

  const tokens = async (): Promise<string> =>
    text((await coordination.range({ key: KEY }, never)).kvs[0]!.value);

  test("a minute -> the store and the log have another one, and a copy from before is an older copy", async () => {
    const copied = mark;
    await pass(MINUTE_MS - 1);
    assert.equal(await tokens(), "7");
    await pass(1);
    assert.equal(await tokens(), mark!.token.toString(16));
    const { known } = await findDirectory(coordination, OF.root, "d", never);
    assert.deepEqual([fateOfDirectory(copied, known), fateOfDirectory(mark, known)], ["older-copy", "same"]);
    stop.abort();
  });

  test("the log takes none -> the one that it has counts, and the broker goes on", async () => {
    isFull = true;
    await pass(3 * MINUTE_MS);
    assert.match(await tokens(), /^[0-9a-f]{2,} 7$/);
    isFull = false;
    await pass(MINUTE_MS);
    assert.deepEqual([failed, await tokens()], [undefined, mark!.token.toString(16)]);
    stop.abort();
  });

  test("somebody has left a token since it was looked at -> nothing is left over it", async () => {
    const ports = { coordination, logger: silentLogger, spools: { mark } as unknown as Spools };
    const before = (await findDirectory(coordination, OF.root, "d", never)).known!.revision;
    await coordination.txn({ compare: [], success: [{ kind: "put", key: KEY, value: utf8("9 7") }] }, never);
    await leaveMark(ports, OF, 8n, never, before);
    assert.equal(await tokens(), "9 7");
    stop.abort();
  });

  test("the store is put back as it was before -> the broker ends, and says so", async () => {
    await pass(MINUTE_MS);
    await coordination.txn({ compare: [], success: [{ kind: "put", key: KEY, value: utf8("7") }] }, never);
    await pass(DIRECTORY_LOOK_MS);
    assert.match(String(failed), /lacks what this broker left there \(data directory d\)/);
  });

  test("the store is at an earlier revision than it was -> the broker ends, and says so", async () => {
    seenRevision = 1_000;
    await pass(DIRECTORY_LOOK_MS);
    assert.match(String(failed), /at revision \d+ and was at 1000: it was put back as it was earlier/);
  });
});
