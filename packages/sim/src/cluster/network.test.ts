// The simulated network and its processes: what may fail, and what must not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom, Agenda } from "@millrace/base/testkit";
import { WireError } from "@millrace/base";
import { ask, follow, sendAppend, type CallPorts } from "./calls.ts";
import { Network } from "./network.ts";
import { SimProcess } from "./sim-process.ts";

const signal = new AbortController().signal;

function twoHosts(seed = "network") {
  const agenda = new Agenda();
  const network = new Network({ agenda, random: seededRandom(seed), note: () => undefined });
  const processes = ["a", "b"].map((name) => {
    const process = new SimProcess(agenda, name, `${name}/0`, 0);
    const host = network.addHost(name);
    host.process = process;
    host.isListening = true;
    return process;
  });
  const [a, b] = [processes[0]!, processes[1]!];
  const ports: CallPorts = { network, from: a, fail: (error) => assert.fail(String(error)) };
  const end = (how: "kill" | "power"): void => {
    const host = network.host("b");
    b.end();
    host.process = undefined;
    host.isUp = how === "kill";
    network.ended(host, b);
  };
  return { agenda, network, a, b, ports, end };
}

/** Numbers that arrive at b on one stream, sent one a millisecond. */
function counting({ agenda, network, a }: ReturnType<typeof twoHosts>, count: number): number[] {
  const came: number[] = [];
  const stream = network.open(a, "b");
  for (let i = 0; i < count; i++) agenda.schedule(i, () => stream.send(0, () => came.push(i)));
  return came;
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

test("stream: a link is cut and mended, slow, its process pauses -> all once, in order", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const world = twoHosts(String(seed));
    const { agenda, network, b } = world;
    const random = seededRandom(`times ${seed}`);
    const came = counting(world, 200);
    const at = (run: () => void): void => void agenda.schedule(random.below(150), run);
    at(() => network.cut("a", "b"));
    at(() => network.slowDown("a", "b", 20));
    at(() => b.pause());
    await agenda.advance(200);
    b.resume();
    network.heal();
    await agenda.advance(1000);
    assert.deepEqual(came, numbers(200));
  }
});

test("calls: many at once -> overtake each other on the way there and back, and each happens once", async () => {
  const { agenda, network, ports } = twoHosts();
  const [came, answered]: [number[], number[]] = [[], []];
  network.slowDown("a", "b", 50);
  for (const i of numbers(100)) {
    const call = ask(ports, "b", () => Promise.resolve(came.push(i)), signal);
    void call.then(() => answered.push(i));
  }
  await agenda.advance(1000);
  const isInOrder = (these: readonly number[]): boolean => these.every((one, at) => one === at);
  assert.deepEqual([isInOrder(came), isInOrder(answered)], [false, false]);
  assert.notDeepEqual(answered, came);
  for (const these of [came, answered])
    assert.deepEqual(
      these.sort((x, y) => x - y),
      numbers(100),
    );
});

test("stream: one direction is cut -> what goes the other way arrives", async () => {
  const { agenda, network, a } = twoHosts();
  const came: string[] = [];
  const stream = network.open(a, "b");
  stream.send(0, () => stream.send(1, () => came.push("answer")));
  await agenda.advance(100);
  network.cut("a", "b");
  stream.send(0, () => came.push("lost"));
  stream.send(1, () => came.push("other way"));
  await agenda.advance(1000);
  assert.deepEqual(came, ["answer", "other way"]);
});

test("call: nobody listens -> refused; the process is killed -> reset; a power cut -> some time", async () => {
  const outcomes: unknown[] = [];
  const call = ({ ports }: ReturnType<typeof twoHosts>): void => {
    ask(ports, "b", () => new Promise(() => undefined), signal).catch((error: unknown) =>
      outcomes.push(error),
    );
  };
  for (const how of ["refused", "kill", "power"] as const) {
    const world = twoHosts();
    if (how === "refused") world.end("kill");
    call(world);
    await world.agenda.advance(100);
    if (how !== "refused") world.end(how);
    await world.agenda.advance(100);
    if (how === "power") {
      assert.equal(outcomes.length, 2);
      // Whoever is back answers for who was there before.
      const host = world.network.host("b");
      host.isUp = true;
      world.network.powered(host);
      await world.agenda.advance(100);
    }
  }
  assert.deepEqual(
    outcomes.map((error) => WireError.from(error).facts["why"]),
    ["refused", "reset", "reset"],
  );
});

test("call: on its way when power comes back -> refused, and it does not arrive at the next process", async () => {
  const { agenda, network, ports, b, end } = twoHosts();
  end("power");
  network.slowDown("a", "b", 10_000);
  const came: string[] = [];
  const asked = ask(ports, "b", () => Promise.resolve(came.push("it")), signal);
  const outcome = asked.catch((error: unknown) => WireError.from(error).facts["why"]);
  const host = network.host("b");
  host.isUp = true;
  network.powered(host);
  host.process = new SimProcess(agenda, "b", `${b.name}, again`, 0);
  await agenda.advance(120_000);
  assert.deepEqual([await outcome, came], ["refused", []]);
});

test("call: its caller aborts -> the called one hears of it; what it throws comes as it is", async () => {
  const { agenda, ports } = twoHosts();
  const over = new AbortController();
  let heard: unknown;
  const asked = ask(
    ports,
    "b",
    (there) =>
      new Promise((_, reject) => there.addEventListener("abort", () => reject((heard = there.reason)))),
    over.signal,
  );
  asked.catch(() => undefined);
  await agenda.advance(100);
  over.abort(new Error("enough"));
  await agenda.advance(100);
  await assert.rejects(asked, /enough/);
  assert.match(String(heard), /enough/);
  const refused = ask(ports, "b", () => Promise.reject(new WireError("DISK_FULL", "no")), signal);
  refused.catch(() => undefined);
  await agenda.advance(100);
  await assert.rejects(refused, { code: "DISK_FULL" });
});

test("follow: more answers than fit under way -> all in order; a reader that leaves ends the source", async () => {
  const { agenda, ports } = twoHosts();
  let isEnded = false;
  async function* source(there: AbortSignal): AsyncGenerator<number> {
    try {
      for (let i = 0; !there.aborted; i++) yield await Promise.resolve(i);
    } finally {
      isEnded = true;
    }
  }
  const got: number[] = [];
  const reading = (async () => {
    for await (const item of follow(ports, "b", source, signal)) if (got.push(item) === 100) break;
  })();
  await agenda.advance(5000);
  await reading;
  await agenda.advance(100);
  assert.deepEqual([got, isEnded], [numbers(100), true]);
});

test("append: its answer is lost -> unknown; nobody was there -> certainly unseen", async () => {
  const world = twoHosts();
  const content = { kind: "bytes", bytes: [Uint8Array.of(1)] } as const;
  const silent = sendAppend(world.ports, "b", content, () => new Promise(() => undefined), signal);
  silent.catch(() => undefined);
  await world.agenda.advance(100);
  world.end("kill");
  await world.agenda.advance(100);
  await assert.rejects(silent, { code: "OUTCOME_UNKNOWN" });
  const unseen = sendAppend(world.ports, "b", content, () => new Promise(() => undefined), signal);
  unseen.catch(() => undefined);
  await world.agenda.advance(100);
  await assert.rejects(unseen, { code: "UNAVAILABLE" });
});

test("process: paused -> timers wait, in their order, and those that are cancelled meanwhile never come", async () => {
  const agenda = new Agenda();
  const process = new SimProcess(agenda, "a", "a/0", 0);
  const came: string[] = [];
  process.clock.after(10, () => came.push("first"));
  const cancel = process.clock.after(20, () => came.push("cancelled"));
  process.clock.after(30, () => came.push("second"));
  process.pause();
  await agenda.advance(100);
  assert.equal(came.length, 0);
  cancel();
  process.resume();
  await agenda.advance(1);
  assert.deepEqual(came, ["first", "second"]);
  process.clock.after(10, () => came.push("after its end"));
  process.end();
  await agenda.advance(100);
  assert.deepEqual(came, ["first", "second"]);
});
