import assert from "node:assert/strict";
import { test } from "node:test";
import { WireError } from "@millrace/base";
import { Agenda, settle, SimulatedClock } from "@millrace/base/testkit";
import { AppendQueue, type PipelineUser } from "./append-queue.ts";
import { Patience } from "./patience.ts";

type Kind = "whole" | "silent" | "large";

class User implements PipelineUser {
  readonly name: string;
  readonly waitingBytes: number;
  readonly isUnfinished: boolean;
  readonly needsPatience: boolean;
  awaitsClient = false;
  readonly #told: string[];

  constructor(told: string[], kind: Kind, name: string, waitingBytes = 0) {
    this.name = name;
    this.waitingBytes = waitingBytes;
    this.isUnfinished = kind !== "whole";
    this.needsPatience = kind === "large";
    this.#told = told;
  }

  granted(): void {
    this.#told.push(this.name);
  }

  wanted(): void {
    this.#told.push(`${this.name} wanted`);
  }

  invalidated(): void {}

  aborted(): void {}

  evicted(): void {}
}

function fixture() {
  const agenda = new Agenda();
  const patience = new Patience(agenda.nowMs);
  const queue = new AppendQueue("a/journal", new SimulatedClock(agenda), patience, () => undefined);
  const told: string[] = [];
  const come = (kind: Kind, name: string, bytes?: number): User => {
    const user = new User(told, kind, name, bytes);
    if (queue.acquire(user) !== "queued") user.granted();
    return user;
  };
  return { agenda, patience, queue, told, come };
}

test("append queue: several wait -> each has it in the order they came, while there is patience", () => {
  const { queue, told, come } = fixture();
  const users = (["whole", "large", "silent", "whole"] as const).map((kind, at) => come(kind, `${at}`));
  assert.ok(queue.hasWholeWaiter);
  for (const user of users) queue.release(user);
  assert.deepEqual(told, ["0", "1", "2", "3"]);
  assert.equal(queue.holder, undefined);
});

test("append queue: there is no patience -> all others pass what is not whole, until there is", async () => {
  const { agenda, patience, queue, told, come } = fixture();
  const holder = come("whole", "holder");
  patience.spend(2000, agenda.nowMs);
  const large = [come("large", "large 1"), come("large", "large 2")];
  const whole = come("whole", "whole");
  const silent = come("silent", "silent");
  queue.release(holder);
  queue.release(whole);
  queue.release(silent);
  assert.deepEqual(told, ["holder", "whole", "silent"]);
  await agenda.advance(3900);
  queue.release(come("whole", "later"));
  assert.deepEqual(told.slice(3), ["later"]);
  await agenda.advance(100);
  queue.release(large[0]!);
  assert.deepEqual(told.slice(4), ["large 1", "large 2"]);
  assert.equal(queue.holder, large[1]);
});

test("append queue: nobody has it, there is no patience -> what is not whole waits for that alone", async () => {
  const { agenda, patience, queue, told, come } = fixture();
  patience.spend(1500, agenda.nowMs);
  come("large", "large");
  assert.deepEqual([told, queue.hasWholeWaiter], [[], false]);
  await agenda.advance(2000);
  assert.deepEqual(told, ["large"]);
});

test("append queue: the holder awaits its client -> hears of each who comes, once it has begun to wait", async () => {
  const { queue, told, come } = fixture();
  const holder = come("silent", "holder");
  come("whole", "early");
  await settle();
  assert.deepEqual(told, ["holder"]);
  holder.awaitsClient = true;
  come("whole", "late");
  void queue.takeFirst();
  assert.deepEqual(told, ["holder"]);
  await settle();
  assert.deepEqual(told, ["holder", "holder wanted", "holder wanted"]);
});

test("append queue: half of its places are taken -> what is not whole is refused with the bounds", () => {
  const { queue, come } = fixture();
  come("whole", "holder");
  for (let n = 0; n < 2048; n++) come("silent", `${n}`);
  assert.throws(() => come("silent", "one more"), {
    code: "OVERLOADED",
    message: /^2048 appends of 0 bytes .*at most 2048 and 33554432 bytes before one that is not whole/,
  });
  const bytes = 33_554_433;
  assert.throws(
    () => come("large", "much", bytes),
    (error) => WireError.from(error).code === "OVERLOADED",
  );
  come("whole", "whole", bytes);
  assert.ok(queue.hasWholeWaiter);
});
