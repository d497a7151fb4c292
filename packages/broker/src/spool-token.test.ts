import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError, never } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { SpoolToken, type SpoolLease, type SpoolUser } from "./spool-token.ts";

function setUp(): { agenda: Agenda; token: SpoolToken; log: string[]; user: (name: string) => SpoolUser } {
  const agenda = new Agenda();
  const log: string[] = [];
  const user = (name: string): SpoolUser => ({ evict: () => log.push(`${name} is evicted`) });
  return { agenda, token: new SpoolToken("a/journal", new SimulatedClock(agenda), 1000), log, user };
}

test("spool token: one has it at a time, in the order of asking", async () => {
  const { token, log, user } = setUp();
  const leases: SpoolLease[] = [];
  for (const name of ["a", "b", "c"]) {
    void token.take(user(name), never).then((lease) => {
      log.push(`${name} has it`);
      leases.push(lease);
    });
  }
  await Promise.resolve();
  assert.deepEqual(log, ["a has it"]);
  leases[0]!.release();
  await Promise.resolve();
  leases[1]!.release();
  await Promise.resolve();
  assert.deepEqual(log, ["a has it", "b has it", "c has it"]);
  leases[2]!.release();
  assert.throws(() => leases[2]!.release(), InvariantError);
  assert.equal(token.user, undefined);
});

test("spool token: whoever keeps it while others wait is evicted after the grace, once", async () => {
  const { agenda, token, log, user } = setUp();
  const first = await token.take(user("a"), never);
  await agenda.advance(5000);
  assert.deepEqual(log, [], "nobody waits");
  const second = token.take(user("b"), never);
  await agenda.advance(999);
  assert.deepEqual(log, []);
  await agenda.advance(1);
  assert.deepEqual(log, ["a is evicted"]);
  token.evict();
  await agenda.advance(5000);
  assert.deepEqual(log, ["a is evicted"]);
  first.release();
  const lease = await second;
  const third = token.take(user("c"), never);
  await agenda.advance(1000);
  assert.deepEqual(log, ["a is evicted", "b is evicted"]);
  lease.release();
  (await third).release();
});

test("spool token: the journal is over -> who has it is evicted at once, nobody else gets it", async () => {
  const { token, log, user } = setUp();
  const lease = await token.take(user("a"), never);
  const refused = { code: "NOT_FOUND", message: "journal a/journal was deleted" };
  const waiting = assert.rejects(token.take(user("b"), never), refused);
  const ended = token.end().then(() => log.push("over"));
  await waiting;
  await assert.rejects(token.take(user("c"), never), refused);
  assert.deepEqual(log, ["a is evicted"]);
  lease.release();
  await ended;
  assert.deepEqual(log, ["a is evicted", "over"]);
  await token.end();
  await assert.rejects(token.take(user("c"), never), refused);
});

test("spool token: who gives up waiting neither gets it nor has anybody evicted", async () => {
  const { agenda, token, log, user } = setUp();
  const first = await token.take(user("a"), never);
  const waiting = new AbortController();
  const second = token.take(user("b"), waiting.signal);
  waiting.abort(new Error("gone"));
  await assert.rejects(second, /gone/);
  await agenda.advance(5000);
  assert.deepEqual(log, []);
  first.release();
  assert.equal(token.user, undefined);
});
