// The cases of the coordination contract about what stands on leases: keys that are put again, groups, locks.
import { deepEqual, equal, fail, ok } from "node:assert/strict";
import { silentLogger, text, utf8 } from "@millrace/base";
import type { ContractStep, ContractWorld } from "./coordination-contract.ts";
import { LeasedKeys } from "./leased-keys.ts";
import { tryLock } from "./leased-lock.ts";
import { MemberGroup } from "./member-group.ts";
import { openSession } from "./session.ts";

const KEYS: readonly string[] = Array.from({ length: 40 }, (_, i) => `work/${i}`);
const TTL_SECONDS = 2;

interface Member {
  readonly id: string;
  readonly leases: LeasedKeys;
  readonly group: MemberGroup;
  stop(): Promise<void>;
}

async function join(w: ContractWorld, id: string): Promise<Member> {
  const ports = { store: w.store, clock: w.clock, logger: silentLogger };
  const leases = new LeasedKeys({ ...ports, ttlSeconds: TTL_SECONDS });
  const prefix = w.key("group/");
  const group = new MemberGroup({ ...ports, prefix, id, value: utf8(`I am ${id}`), leases });
  const stopping = new AbortController();
  await group.load(w.signal);
  const running = Promise.all([leases.run(stopping.signal), group.run(stopping.signal)]);
  return {
    id,
    leases,
    group,
    stop: async () => {
      stopping.abort(new Error("stopped"));
      await running;
    },
  };
}

async function eventually(w: ContractWorld, what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (holds()) return;
    await w.advance(50);
  }
  fail(`never: ${what}`);
}

const sees = (members: readonly Member[], ...ids: string[]): boolean =>
  members.every(({ group }) => group.members.join() === ids.join() && KEYS.some((key) => group.owns(key)));

/** Owners of each key, of those that see the same members. */
function owners(members: readonly Member[]): string[] {
  return KEYS.map((key) => members.filter(({ group }) => group.owns(key)).map(({ id }) => id)).map((ids) => {
    equal(ids.length, 1);
    return ids[0]!;
  });
}

async function openedSession(w: ContractWorld): ReturnType<typeof openSession> {
  const { store, clock } = w;
  const onLost = (): void => undefined;
  return openSession({ store, clock, logger: silentLogger, ttlSeconds: TTL_SECONDS, onLost }, w.signal);
}

export const groupCases: Record<string, ContractStep> = {
  "group: members come and go -> each piece of work is one's, and only theirs moves": async (w) => {
    const a = await join(w, "a");
    await eventually(w, "a alone", () => sees([a], "a"));
    deepEqual(new Set(owners([a])), new Set(["a"]));
    const b = await join(w, "b");
    const c = await join(w, "c");
    await eventually(w, "three", () => sees([a, b, c], "a", "b", "c"));
    const three = owners([a, b, c]);
    deepEqual(new Set(three), new Set(["a", "b", "c"]));
    equal(text(a.group.values.get("b")!), "I am b");
    await b.stop();
    equal(
      KEYS.some((key) => b.group.owns(key)),
      false,
    );
    await eventually(w, "two", () => sees([a, c], "a", "c"));
    for (const [i, owner] of owners([a, c]).entries()) if (three[i] !== "b") equal(owner, three[i]);
    await Promise.all([a.stop(), c.stop()]);
    equal(await w.list(), "");
  },
  "group: a member dies -> its work goes to the others when its lease ends": async (w) => {
    const lease = await w.store.grantLease(TTL_SECONDS, w.signal);
    await w.put("group/dead", "", lease);
    const a = await join(w, "a");
    await eventually(w, "both", () => sees([a], "a", "dead"));
    equal(
      KEYS.every((key) => a.group.owns(key)),
      false,
    );
    await eventually(w, "a alone", () => sees([a], "a"));
    equal(
      KEYS.every((key) => a.group.owns(key)),
      true,
    );
    await a.stop();
  },
  "group: its lease is revoked -> owns nothing, joins again under another one": async (w) => {
    const a = await join(w, "a");
    await eventually(w, "a alone", () => sees([a], "a"));
    const { lease } = a.leases;
    await w.store.revokeLease(lease!, w.signal);
    await eventually(w, "owns nothing", () => !KEYS.some((key) => a.group.owns(key)));
    await eventually(w, "again", () => sees([a], "a"));
    ok(a.leases.lease !== lease);
    await a.stop();
  },
  "group: two with one id -> the second one owns nothing until the first has gone": async (w) => {
    const first = await join(w, "a");
    await eventually(w, "first", () => sees([first], "a"));
    const second = await join(w, "a");
    await eventually(w, "told", () => second.leases.taken.length === 1);
    for (let i = 0; i < 20; i++) {
      deepEqual(new Set(owners([first, second])), new Set(["a"]));
      ok(!second.group.owns(KEYS[0]!));
      await w.advance(50);
    }
    await first.stop();
    await eventually(w, "second", () => sees([second], "a"));
    await second.stop();
  },
  "leased keys: the newest value is put, a released key goes, the others stay": async (w) => {
    const member = await join(w, "a");
    const { leases } = member;
    const one = leases.hold(w.key("one"), utf8("1"));
    const two = leases.hold(w.key("two"), utf8("1"));
    for (let i = 2; i < 20; i++) one.set(utf8(String(i)));
    one.set(utf8("last"));
    await until(w, "one=last two=1", () => w.list());
    two.release();
    await until(w, "one=last", () => w.list());
    await w.delete("one"); // by somebody else
    one.set(utf8("back"));
    await until(w, "one=back", () => w.list());
    await member.stop();
    equal(await w.list(), "");
  },
  "lock: has one holder, until it is released or its lease ends": async (w) => {
    const [one, two] = [await openedSession(w), await openedSession(w)];
    const key = w.key("lock");
    const locking = await tryLock(w.store, one, { key, value: utf8("one") }, w.signal);
    ok(locking.kind === "locked");
    const refused = await tryLock(w.store, two, { key, value: utf8("two") }, w.signal);
    ok(refused.kind === "taken");
    equal(text(refused.value), "one");
    const guarded = async (): Promise<boolean> =>
      (await w.store.txn({ compare: [locking.lock.guard], success: [] }, w.signal)).succeeded;
    equal(await guarded(), true);
    await locking.lock.release(w.signal);
    equal(await guarded(), false);
    const again = await tryLock(w.store, two, { key, value: utf8("two") }, w.signal);
    ok(again.kind === "locked");
    equal(await guarded(), false);
    await locking.lock.release(w.signal); // not ours any more: nothing happens
    equal(await w.list(), "lock=two");
    await two.close(w.signal);
    equal(await w.list(), "");
    equal(again.lock.signal.aborted, true);
    await one.close(w.signal);
  },
  "lock: the lease has ended -> UNAVAILABLE": async (w) => {
    const session = await openedSession(w);
    await w.store.revokeLease(session.lease, w.signal);
    const locking = tryLock(w.store, session, { key: w.key("lock"), value: utf8("one") }, w.signal);
    await w.refused(locking, "UNAVAILABLE", "not locked: its lease");
    await session.close(w.signal);
  },
};

/** Waits until what `shown` gives, less what groups have put, is `expected`. */
async function until(w: ContractWorld, expected: string, shown: () => Promise<string>): Promise<void> {
  let last = "";
  for (let i = 0; i < 200; i++) {
    last = (await shown()).replace(/group\/\S+( am \S+)? ?/, "").trim();
    if (last === expected) return;
    await w.advance(50);
  }
  equal(last, expected);
}
