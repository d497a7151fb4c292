import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, WireError } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { aesSecrets, plainSecrets, type SecretBox } from "@millrace/ingest";
import { memoryStore } from "@millrace/stores/testkit";
import { claimPrefix, claimSecrets, claimStaging, claimWarehouse } from "./stream-home.ts";

test("home: brokers of another prefix -> refused for good", async () => {
  const coordination = await openMemoryStore(new SimulatedClock(new Agenda()), seededRandom("prefix"));
  await claimPrefix({ coordination }, "/a", never);
  await claimPrefix({ coordination }, "/a", never);
  const message = /belong to the brokers of --etcd\.prefix \/a, not \/b/;
  await assert.rejects(claimPrefix({ coordination }, "/b", never), { code: "CONFLICT", message });
});

test("home: etcd answers with nobody knowing whether it was done -> asked again", async () => {
  for (const isDone of [true, false]) {
    const coordination = await openMemoryStore(new SimulatedClock(new Agenda()), seededRandom("unknown"));
    const txn = coordination.txn.bind(coordination);
    let lost = 0;
    coordination.txn = async (request, signal) => {
      if (lost++ % 2 === 1) return txn(request, signal);
      if (isDone) await txn(request, signal);
      throw new WireError("OUTCOME_UNKNOWN", "etcd may or may not have done it");
    };
    await claimPrefix({ coordination }, "/a", never);
    await claimWarehouse({ coordination }, "one", never);
    await claimSecrets({ coordination, secrets: plainSecrets }, never);
    await claimSecrets({ coordination, secrets: plainSecrets }, never);
    await assert.rejects(claimPrefix({ coordination }, "/b", never), { code: "CONFLICT" });
    const left = new AbortController();
    left.abort(new Error("it stops"));
    await assert.rejects(claimPrefix({ coordination }, "/a", left.signal));
  }
});

test("home: a warehouse in another data directory -> refused, and the first one goes on", async () => {
  const coordination = await openMemoryStore(new SimulatedClock(new Agenda()), seededRandom("warehouse"));
  await claimWarehouse({ coordination }, "one", never);
  const message = /are in the warehouse of the data directory one, this one is two: run the component/;
  await assert.rejects(claimWarehouse({ coordination }, "two", never), { code: "CONFLICT", message });
  await claimWarehouse({ coordination }, "one", never);
});

test("home: another staging store -> refused; the same one is known, whoever of several began", async () => {
  const clock = new SimulatedClock(new Agenda());
  const random = seededRandom("staging");
  const coordination = await openMemoryStore(clock, random);
  const [one, two] = [memoryStore({ clock, random }), memoryStore({ clock, random })];
  const claim = (stagingStore: typeof one): Promise<void> =>
    claimStaging({ coordination, clock, logger: silentLogger, random, stagingStore }, never);
  await Promise.all([claim(one), claim(one), claim(one)]);
  await claim(one);
  await assert.rejects(claim(two), { code: "CONFLICT", message: /stage records in another store than / });
  let marks = 0;
  for await (const _ of one.list("", never)) marks++;
  assert.equal(marks, 1);
});

test("home: the staging store is away -> it is waited for, and marked once", async () => {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const random = seededRandom("away");
  const coordination = await openMemoryStore(clock, random);
  const stagingStore = memoryStore({ clock, random });
  let isAway = true;
  stagingStore.script = () => (isAway ? "unavailable" : "none");
  let claimed = 0;
  const claim = async (): Promise<void> => {
    await claimStaging({ coordination, clock, logger: silentLogger, random, stagingStore }, never);
    claimed++;
  };
  const first = claim();
  await agenda.advance(30_000);
  assert.equal(claimed, 0);
  isAway = false;
  await agenda.advance(5000);
  await first;
  isAway = true;
  const again = claim();
  await agenda.advance(30_000);
  assert.equal(claimed, 1);
  isAway = false;
  await agenda.advance(5000);
  await again;
  let marks = 0;
  for await (const _ of stagingStore.list("", never)) marks++;
  assert.equal(marks, 1);
});

test("home: secrets that others seal cannot be opened -> refused; a key is changed by adding it first", async () => {
  const coordination = await openMemoryStore(new SimulatedClock(new Agenda()), seededRandom("secrets"));
  const [a, b] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  const claim = (secrets: SecretBox): Promise<void> => claimSecrets({ coordination, secrets }, never);
  const refused = { code: "CONFLICT", message: /are sealed with key [0-9a-f]{16}, which this process/ };
  await Promise.all([claim(plainSecrets), claim(plainSecrets)]);
  await claim(aesSecrets([a]));
  await assert.rejects(claim(plainSecrets), refused);
  await assert.rejects(claim(aesSecrets([b])), refused);
  await claim(aesSecrets([a, b]));
  await claim(aesSecrets([a]));
  await claim(aesSecrets([b, a]));
  await assert.rejects(claim(aesSecrets([a])), refused);
  await claim(aesSecrets([a, b]));
});
