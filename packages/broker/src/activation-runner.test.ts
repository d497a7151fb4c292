// Routes that no activation can be about.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { activateRoute, type ActivationPorts, type Holder } from "./activation-runner.ts";
import type { Resolution } from "./resolver.ts";

const members = ["a", "b"].map((zone) => ({ zone, suffix: "one" }));
const resolution = {
  status: "OK",
  primaryIsSelf: true,
  header: { etcd: { revision: 9 }, route: { members, primary: 0, endpoints: [] } },
  item: { spec: { name: "a/journal" } },
} as unknown as Resolution;

/** @param found brokers of the route's members */
async function activate(found: readonly (Holder | undefined)[]): Promise<unknown> {
  const agenda = new Agenda();
  const ports = {
    clock: new SimulatedClock(agenda),
    logger: silentLogger,
    holders: { self: "disk-a", members: () => found },
  } as unknown as ActivationPorts;
  const activated = activateRoute(ports, resolution, () => resolution, never);
  activated.catch(() => undefined);
  await agenda.advance(10_000);
  return activated;
}

const holder = (at: number, id: string): Holder => ({ id, peer: { id: members[at]! } }) as unknown as Holder;

test("activation: two members announce one data directory -> refused at once, and both are named", async () => {
  const twice = [holder(0, "disk-a"), holder(1, "disk-a")];
  await assert.rejects(activate(twice), {
    message: /a\/one and b\/one announce the same data directory disk-a/,
  });
});

test("activation: a member is not there -> waited for, then refused with its name", async () => {
  const text = "journal a/journal is assigned to broker b/one, which is not there";
  await assert.rejects(activate([holder(0, "disk-a"), undefined]), { code: "UNAVAILABLE", message: text });
});
