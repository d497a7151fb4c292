import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "./api-client.ts";
import { StreamFollower } from "./stream-follower.ts";

/** One stream that the test feeds, breaks or ends. */
interface Stream {
  send(text: string): void;
  end(): void;
}

class World {
  readonly said: string[] = [];
  readonly events: string[] = [];
  readonly timers: { ms: number; run: () => void }[] = [];
  /** What the next tries get: a stream, or an error. */
  readonly answers: (Stream | ApiError)[] = [];
  readonly streams: Stream[] = [];
  readonly follower: StreamFollower;

  constructor(silenceMs = Infinity) {
    this.follower = new StreamFollower({
      open: (signal) => this.#open(signal),
      onEvent: ({ event, data }) => this.events.push(`${event} ${data}`),
      onConnection: (connection) => {
        const detail = "attempt" in connection ? ` ${connection.attempt}` : "";
        this.said.push(connection.kind + detail + ("reason" in connection ? `: ${connection.reason}` : ""));
      },
      nowMs: () => 0,
      random: () => 0,
      after: (ms, run) => {
        const timer = { ms, run };
        this.timers.push(timer);
        return () => {
          const at = this.timers.indexOf(timer);
          if (at >= 0) this.timers.splice(at, 1);
        };
      },
      silenceMs,
    });
  }

  /** Runs the timer that is due next. */
  fire(): void {
    const [next] = this.timers.splice(0, 1);
    next?.run();
  }

  #open(signal: AbortSignal): Promise<Response> {
    const answer = this.answers.shift();
    if (answer instanceof ApiError) return Promise.reject(answer);
    let controller: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({ start: (given) => void (controller = given) });
    signal.addEventListener("abort", () => controller.error(signal.reason));
    this.streams.push({
      send: (text) => controller.enqueue(new TextEncoder().encode(text)),
      end: () => controller.close(),
    });
    return Promise.resolve(new Response(body));
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const down = new ApiError("the server does not answer", { status: 0, code: "UNREACHABLE" });

test("follower: a stream that lives -> its events, and the state", async () => {
  const world = new World();
  world.follower.start();
  await settle();
  world.streams[0]?.send(": open\n\n");
  await settle();
  world.streams[0]?.send("event: snapshot\ndata: 1\n\n");
  await settle();
  assert.deepEqual(world.said, ["connecting 1", "live"]);
  assert.deepEqual(world.events, ["snapshot 1"]);
  world.follower.stop();
});

test("follower: no server -> waits longer each time; an event makes the wait short again", async () => {
  const world = new World();
  world.answers.push(down, down, down);
  world.follower.start();
  const waits: number[] = [];
  for (let i = 0; i < 3; i += 1) {
    await settle();
    waits.push(world.timers[0]?.ms ?? 0);
    world.fire();
  }
  await settle();
  world.streams[0]?.send("data: x\n\n");
  await settle();
  world.streams[0]?.end();
  await settle();
  waits.push(world.timers[0]?.ms ?? 0);
  assert.deepEqual(waits, [250, 500, 1000, 250]);
  assert.deepEqual(world.said.slice(-2), ["live", "waiting 1: the stream ended"]);
  world.follower.stop();
});

test("follower: a server that opens and ends at once -> is not asked in a tight loop", async () => {
  const world = new World();
  world.follower.start();
  const waits: number[] = [];
  for (let i = 0; i < 4; i += 1) {
    await settle();
    world.streams[i]?.send(": open\n\n");
    await settle();
    world.streams[i]?.end();
    await settle();
    waits.push(world.timers[0]?.ms ?? 0);
    world.fire();
  }
  assert.deepEqual(waits, [250, 500, 1000, 2000]);
  world.follower.stop();
});

test("follower: silence -> the stream is given up and opened again", async () => {
  const world = new World(8000);
  world.follower.start();
  await settle();
  world.streams[0]?.send("data: x\n\n");
  await settle();
  assert.deepEqual(
    world.timers.map((timer) => timer.ms),
    [8000],
    "one watch at a time",
  );
  world.fire();
  await settle();
  assert.equal(world.said.at(-1), "waiting 1: the stream fell silent");
  world.follower.stop();
});

test("follower: retryNow -> does not wait", async () => {
  const world = new World();
  world.answers.push(down);
  world.follower.start();
  await settle();
  world.follower.retryNow();
  await settle();
  assert.deepEqual(world.said, ["connecting 1", "waiting 1: the server does not answer", "connecting 2"]);
  assert.deepEqual(world.timers, [], "the wait is gone");
  world.follower.stop();
});

for (const [status, expected] of [
  [401, "unauthorised"],
  [400, "refused: no"],
  [404, "refused: no"],
  [408, "waiting 1: no"],
  [429, "waiting 1: no"],
  [503, "waiting 1: no"],
] as const) {
  test(`follower: ${status} -> ${expected}`, async () => {
    const world = new World();
    world.answers.push(new ApiError("no", { status, code: "NO" }));
    world.follower.start();
    await settle();
    assert.equal(world.said.at(-1), expected);
    world.follower.retryNow();
    await settle();
    assert.match(world.said.at(-1) ?? "", /^connecting/, "but it can be asked to try again");
    world.follower.stop();
  });
}

test("follower: stopped -> nothing is said or given any more, and its timers are gone", async () => {
  const world = new World(8000);
  world.follower.start();
  await settle();
  world.streams[0]?.send("data: x\n\n");
  await settle();
  world.follower.stop();
  await settle();
  assert.deepEqual(world.said, ["connecting 1", "live", "stopped"]);
  assert.deepEqual([world.events, world.timers], [["message x"], []]);
});

test("follower: started again while it runs -> one stream, not two", async () => {
  const world = new World();
  world.follower.start();
  await settle();
  world.follower.start();
  await settle();
  world.streams[1]?.send("data: y\n\n");
  await settle();
  assert.deepEqual(world.events, ["message y"]);
  assert.deepEqual(world.said, ["connecting 1", "connecting 1", "live"]);
  world.follower.stop();
});
