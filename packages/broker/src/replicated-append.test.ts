// What becomes of an append when its log and its peers have answered, or have not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { WireError } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import type { CommitOutcome } from "@millrace/fragments";
import { LIMBO_MS } from "./limits.ts";
import { Limbo, ReplicatedAppend } from "./replicated-append.ts";

const BROKEN = new WireError("UNAVAILABLE", "recv from b: connection reset");
const REFUSED: CommitOutcome = { kind: "refused", error: new WireError("DISK_FULL", "no space left") };

class World {
  readonly agenda = new Agenda();
  readonly limbo = new Limbo(new SimulatedClock(this.agenda));
  readonly told: string[] = [];

  /** Of [end - 10, end). */
  append(end: number): ReplicatedAppend {
    return new ReplicatedAppend(end, {
      settled: () => this.told.push(`${end} settled`),
      inLimbo: (append) => {
        this.told.push(`${end} in limbo`);
        this.limbo.add(append);
      },
      ended: (outcome) => this.told.push(`${end} ${outcome.kind}`),
    });
  }

  /** An append that the own log has, and some peer did not answer. */
  broken(end: number): ReplicatedAppend {
    const append = this.append(end);
    append.onOwn(acknowledged(end));
    append.onPeers(BROKEN);
    return append;
  }

  /** What was told since. */
  news(): string[] {
    return this.told.splice(0);
  }
}

function acknowledged(end: number): CommitOutcome {
  return { kind: "acknowledged", begin: end - 10, end };
}

test("append: own log and peers, in either order -> acknowledged once both have it", () => {
  const world = new World();
  const [one, other] = [world.append(10), world.append(20)];
  one.onOwn(acknowledged(10));
  other.onPeers(undefined);
  assert.deepEqual(world.news(), []);
  one.onPeers(undefined);
  other.onOwn(acknowledged(20));
  assert.deepEqual(world.news(), ["10 settled", "10 acknowledged", "20 settled", "20 acknowledged"]);
});

test("append: the own log refuses -> refused at once, whatever the peers say later", () => {
  const world = new World();
  const append = world.append(10);
  append.onOwn(REFUSED);
  append.onPeers(undefined);
  append.onPeers(BROKEN);
  assert.deepEqual(world.news(), ["10 settled", "10 refused"]);
});

test("limbo: an activation counts it as acknowledged -> so it is; what lies beyond is unknown", () => {
  const world = new World();
  world.broken(10);
  world.broken(20);
  world.news();
  world.limbo.activated(10, Number.POSITIVE_INFINITY, true);
  assert.deepEqual(world.news(), ["20 unknown", "10 acknowledged"]);
});

test("limbo: own bytes were given up in between -> what stands there now is another's", () => {
  const world = new World();
  world.broken(10);
  world.broken(20);
  world.news();
  world.limbo.activated(100, 15, true);
  assert.deepEqual(world.news(), ["20 unknown", "10 acknowledged"]);
});

test("limbo: the own log has refused it meanwhile -> an activation acknowledges nothing of it", () => {
  const world = new World();
  const append = world.append(10);
  append.onPeers(BROKEN);
  append.onOwn(REFUSED);
  assert.deepEqual(world.news(), ["10 settled", "10 in limbo", "10 refused"]);
  world.limbo.activated(100, Number.POSITIVE_INFINITY, true);
  assert.deepEqual(world.news(), []);
});

test("limbo: too few members -> adopted and not acknowledged, until there are enough", () => {
  const world = new World();
  world.broken(10);
  world.news();
  world.limbo.activated(10, Number.POSITIVE_INFINITY, false);
  assert.deepEqual(world.news(), []);
  world.limbo.activated(10, Number.POSITIVE_INFINITY, true);
  assert.deepEqual(world.news(), ["10 acknowledged"]);
});

test("limbo: no activation comes -> after a while the outcome is unknown", async () => {
  const world = new World();
  world.broken(10);
  world.news();
  await world.agenda.advance(LIMBO_MS - 1);
  assert.deepEqual(world.news(), []);
  await world.agenda.advance(1);
  assert.deepEqual(world.news(), ["10 unknown"]);
});
