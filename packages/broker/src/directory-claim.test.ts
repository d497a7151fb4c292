// Which data directory an id stands for: copies wait, older copies get another id.
import assert from "node:assert/strict";
import { beforeEach, suite, test } from "node:test";
import { never, silentLogger, text, type Logger, type WireError } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import type { Spools, StoreMark } from "@millrace/fragments";
import { keyOf, openSession, type CoordinationStore, type Session } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import {
  claimDirectory,
  fateOfDirectory,
  type DirectoryFate,
  type KnownDirectory,
} from "./directory-claim.ts";
import { leaveMark } from "./store-mark.ts";

const MARK: StoreMark = { clusterId: 1n, revision: 100, token: 7n };
const known = (revision: number, ...tokens: bigint[]): KnownDirectory => ({
  clusterId: 1n,
  revision,
  tokens,
});

const CASES: Record<string, readonly [StoreMark | undefined, KnownDirectory | undefined, DirectoryFate]> = {
  "the store has never seen it": [MARK, undefined, "same"],
  "it is new": [undefined, undefined, "same"],
  "the store has its token": [MARK, known(101, 7n), "same"],
  "its last start ended between the two writes": [MARK, known(150, 9n, 7n), "same"],
  "its first start ended between the two writes": [undefined, known(50, 9n, 0n), "same"],
  "it was started since": [MARK, known(150, 9n), "older-copy"],
  "it was started since, twice": [MARK, known(190, 11n, 9n), "older-copy"],
  "its log is gone": [undefined, known(101, 7n), "older-copy"],
  "the store was put back": [MARK, known(90, 5n), "store-older"],
  "it was in another cluster since": [{ ...MARK, clusterId: 2n }, known(101, 5n), "same"],
};

for (const [what, [mark, directory, fate]] of Object.entries(CASES)) {
  test(`directory: ${what} -> ${fate}`, () => assert.equal(fateOfDirectory(mark, directory), fate));
}

/** A data directory, as far as starts of brokers know it. */
class Directory {
  mark: StoreMark | undefined;
  id: string;

  constructor(id: string, mark?: StoreMark) {
    this.id = id;
    this.mark = mark;
  }

  copy(): Directory {
    return new Directory(this.id, this.mark);
  }

  setMark(mark: StoreMark): Promise<void> {
    this.mark = mark;
    return Promise.resolve();
  }
}

suite("claims of data directories", () => {
  const root = "/gazette/cluster";
  let agenda: Agenda;
  let clock: SimulatedClock;
  let coordination: CoordinationStore & { close(): Promise<void> };
  let errors: string[];
  let renewed: number;
  /** Of each start, whether the directory was new to the store. */
  let fresh: boolean[];

  beforeEach(async () => {
    agenda = new Agenda();
    clock = new SimulatedClock(agenda);
    coordination = await openMemoryStore(clock, seededRandom("claims"));
    errors = [];
    renewed = 0;
    fresh = [];
  });

  /** A start: the session is the process's life. */
  async function start(
    directory: Directory,
    suffix: string,
    { isLogged = true, mayRenew = true } = {},
  ): Promise<Session> {
    const logger: Logger = { ...silentLogger, error: (event) => void errors.push(event) };
    const lost = (error: WireError): never => assert.fail(error);
    const session = await openSession(
      { store: coordination, clock, logger: silentLogger, ttlSeconds: 10, onLost: lost },
      never,
    );
    const setMark = isLogged ? directory.setMark.bind(directory) : () => Promise.reject(new Error("it dies"));
    const spools = { mark: directory.mark, setMark } as unknown as Spools;
    const broker = { zone: "z", suffix };
    const renew = (): string => (directory.id = `renewed-${++renewed}`);
    const claim = { root, broker, directory: directory.id, renew: mayRenew ? renew : undefined };
    const ports = { coordination, spools, logger };
    try {
      const claimed = await claimDirectory(ports, session, claim, never);
      directory.id = claimed.id;
      fresh.push(claimed.isNew);
      await leaveMark(ports, { root, broker, directory: directory.id }, session.lease, never);
    } catch (error) {
      await session.close(never);
      throw error;
    }
    return session;
  }

  test("started again and again, also after deaths between the two writes -> keeps its id", async () => {
    const directory = new Directory("d");
    for (const isLogged of [false, true, true, false, false, true, true]) {
      await (await start(directory, "a", { isLogged })).close(never);
    }
    assert.deepEqual([directory.id, errors], ["d", []]);
    assert.deepEqual(fresh, [true, ...Array.from({ length: 6 }, () => false)]);
  });

  test("a copy while the original is in use -> waits; then it is an older one, and gets another id", async () => {
    const directory = new Directory("d");
    await (await start(directory, "a")).close(never);
    const copy = directory.copy();
    const first = await start(directory, "a");
    let second: Session | undefined;
    const starting = start(copy, "b").then((session) => (second = session));
    await agenda.advance(60_000);
    assert.equal(second, undefined);
    await first.close(never);
    await agenda.advance(20_000);
    await starting;
    assert.deepEqual([copy.id, errors], ["renewed-1", ["directory-older-than-store"]]);
    // The original's id is free again.
    const again = await start(directory, "a");
    assert.equal(directory.id, "d");
    await again.close(never);
    await second!.close(never);
  });

  test("two copies, neither used since -> the one that comes first is the directory", async () => {
    const directory = new Directory("d");
    await (await start(directory, "a")).close(never);
    const copy = directory.copy();
    await (await start(copy, "b")).close(never);
    await (await start(directory, "a")).close(never);
    assert.deepEqual([copy.id, directory.id], ["d", "renewed-1"]);
    assert.deepEqual(fresh, [true, false, false], "one that gets another id is not a new one");
  });

  test("an older copy that cannot be renewed -> refused", async () => {
    const directory = new Directory("d");
    await (await start(directory, "a")).close(never);
    const copy = directory.copy();
    await (await start(directory, "a")).close(never);
    await assert.rejects(start(copy, "a", { mayRenew: false }), { code: "CONFLICT" });
    assert.equal(copy.id, "d");
  });

  test("the store is put back as it was -> said, and the directory stays what it is", async () => {
    const directory = new Directory("d");
    await (await start(directory, "a")).close(never);
    const key = keyOf(`!millrace/directories#${root}#d`);
    const before = (await coordination.range({ key }, never)).kvs[0]!;
    await (await start(directory, "a")).close(never);
    directory.mark = { ...directory.mark!, revision: directory.mark!.revision + 1000 };
    await coordination.txn({ compare: [], success: [{ kind: "put", key, value: before.value }] }, never);
    await (await start(directory, "a")).close(never);
    assert.deepEqual([directory.id, errors], ["d", ["store-older-than-directory"]]);
  });

  test("tokens that cannot be read -> CORRUPT, nothing is renewed", async () => {
    const directory = new Directory("d");
    const key = keyOf(`!millrace/directories#${root}#d`);
    const value = new TextEncoder().encode("who knows");
    await coordination.txn({ compare: [], success: [{ kind: "put", key, value }] }, never);
    await assert.rejects(start(directory, "a"), { code: "CORRUPT" });
    const { kvs } = await coordination.range({ key }, never);
    assert.deepEqual([directory.id, text(kvs[0]!.value)], ["d", "who knows"]);
  });
});
