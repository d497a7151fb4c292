import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger, text, utf8, WireError } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { label } from "@millrace/protocol";
import { AppendService } from "./append-service.ts";
import { FakeTransport } from "./fake-transport.ts";

function fixture() {
  const transport = new FakeTransport();
  const clock = new SimulatedClock(new Agenda());
  return { transport, clock, service: new AppendService({ transport, clock, logger: silentLogger }) };
}

const lost = (afterwards: boolean) => ({ error: new WireError("OUTCOME_UNKNOWN", "lost"), afterwards });

test("append service: appends of one journal -> in order, later ones batched behind the first", async () => {
  const { transport, service } = fixture();
  const appends = ["a", "b", "c", "d"].map((each) => service.append("j/one", [utf8(each)]));
  const commits = await Promise.all(appends.map((append) => append.done));
  assert.equal(text(transport.journals.get("j/one")!), "abcd");
  assert.ok(transport.calls.length <= 2, transport.calls.join(" "));
  assert.deepEqual([commits[3]!.end, commits[1] === commits[3]], [4, true]);
});

test("append service: batches -> up to 4 MiB of waiting appends join; what would be more begins the next", async () => {
  const { transport, service } = fixture();
  const MIB = 1024 * 1024;
  const sizes = [1, 2 * MIB, 2 * MIB, 1, 5 * MIB, 1]; // the first goes out alone, what comes meanwhile waits
  const appends = sizes.map((size) => service.append("j/one", [new Uint8Array(size)]));
  await Promise.all(appends.map((append) => append.done));
  assert.deepEqual(
    transport.calls,
    ["1", `${4 * MIB}`, "1", `${5 * MIB}`, "1"].map((size) => `j/one+${size}`),
  );
});

test("append service: outcome unknown -> repeated until it is known, so at least once", async () => {
  const { transport, clock, service } = fixture();
  transport.appendFaults.push(lost(false), lost(true));
  const { done } = service.append("j/one", [utf8("x")]);
  await clock.agenda.advance(5000);
  await done;
  assert.equal(text(transport.journals.get("j/one")!), "xx");
});

test("append service: a terminal failure -> it ends the appends of its journal, not those of others", async () => {
  const { transport, service } = fixture();
  transport.appendFaults.push({ status: "JOURNAL_NOT_FOUND" });
  const first = service.append("j/one", [utf8("x")]);
  await assert.rejects(first.done, /JOURNAL_NOT_FOUND/);
  assert.throws(() => service.append("j/one", [utf8("y")]), /JOURNAL_NOT_FOUND/);
  await service.append("j/two", [utf8("z")]).done;
});

test("append service: a register check that fails -> repeated: the writer may be about to be fenced", async () => {
  const { transport, clock, service } = fixture();
  transport.appendFaults.push({ status: "REGISTER_MISMATCH" });
  const checkRegisters = { include: { labels: [label("author", "me")] }, exclude: { labels: [] } };
  const { done } = service.append("j/one", [utf8("x")], { checkRegisters });
  await clock.agenda.advance(1000);
  await done;
});

test("append service: an append waits for its dependencies, and fails with them", async () => {
  const { transport, clock, service } = fixture();
  transport.appendFaults.push({ error: new WireError("UNAVAILABLE", "later"), afterwards: false });
  const data = service.append("j/data", [utf8("d")]);
  const ack = service.append("j/ack", [utf8("a")], {}, [data]);
  assert.deepEqual(
    service.pendingExcept("j/ack").map((append) => append.journal),
    ["j/data"],
  );
  await clock.agenda.advance(1000);
  await ack.done;
  assert.deepEqual(transport.calls, ["j/data+1", "j/data+1", "j/ack+1"]);

  transport.appendFaults.push({ status: "NOT_ALLOWED" });
  const failed = service.append("j/data", [utf8("d")]);
  const after = service.append("j/ack", [utf8("a")], {}, [failed]);
  await assert.rejects(after.done, /NOT_ALLOWED/);
  assert.throws(() => service.append("j/ack", [utf8("b")]), /NOT_ALLOWED/);
});

test("append service: too many bytes waiting -> refused, and room() tells when there is some", async () => {
  const { transport, clock, service } = fixture();
  transport.appendFaults.push({ error: new WireError("UNAVAILABLE", "later"), afterwards: false });
  const big = new Uint8Array(40 * 1024 * 1024);
  const first = service.append("j/one", [big]);
  assert.throws(() => service.append("j/two", [big]), /waiting/);
  const room = service.room(big.length, new AbortController().signal);
  await clock.agenda.advance(1000);
  await first.done;
  await room;
});

test("append service: closed -> what waits is told so", async () => {
  const { transport, service } = fixture();
  transport.appendFaults.push(lost(false));
  const { done } = service.append("j/one", [utf8("x")]);
  await service.close();
  await assert.rejects(done, /closing/);
});
