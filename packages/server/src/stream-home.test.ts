import assert from "node:assert/strict";
import { test } from "node:test";
import { never } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { claimPrefix, claimWarehouse } from "./stream-home.ts";

test("home: brokers of another prefix -> refused for good", async () => {
  const coordination = await openMemoryStore(new SimulatedClock(new Agenda()), seededRandom("prefix"));
  await claimPrefix({ coordination }, "/a", never);
  await claimPrefix({ coordination }, "/a", never);
  const message = /belong to the brokers of --etcd\.prefix \/a, not \/b/;
  await assert.rejects(claimPrefix({ coordination }, "/b", never), { code: "CONFLICT", message });
});

test("home: a warehouse in another data directory -> refused, and the first one goes on", async () => {
  const coordination = await openMemoryStore(new SimulatedClock(new Agenda()), seededRandom("warehouse"));
  await claimWarehouse({ coordination }, "one", never);
  const message = /are in the warehouse of the data directory one, this one is two: run the components/;
  await assert.rejects(claimWarehouse({ coordination }, "two", never), { code: "CONFLICT", message });
  await claimWarehouse({ coordination }, "one", never);
});
