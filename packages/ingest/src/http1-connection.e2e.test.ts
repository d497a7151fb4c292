// What a client may do wrong slowly, and what it may ask at once: a listener on a real socket, with time in our hands.
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";

import { text, type Clock } from "@millrace/base";

import { encodeAnswer } from "./http1-answer.ts";
import type { Session } from "./http1-connection.ts";
import type { Exchange } from "./http1-exchange.ts";
import { Http1Server } from "./http1-server.ts";
import { RawClient } from "./http-source-testkit.ts";
import { DEFAULT_DOOR_LIMITS, PIPELINE_MAX, type DoorLimits } from "./limits.ts";
import { systemTurns } from "./system-turns.ts";

/** Time that stands still until it is moved. */
class HandClock implements Clock {
  #nowMs = 0;
  #timers: { atMs: number; run: () => void }[] = [];

  wallMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(): Promise<void> {
    return Promise.reject(new Error("not used"));
  }

  after(ms: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    while (this.#nowMs < endMs) {
      this.#nowMs = Math.min(endMs, this.#nowMs + 100);
      const due = this.#timers.filter((timer) => timer.atMs <= this.#nowMs);
      this.#timers = this.#timers.filter((timer) => timer.atMs > this.#nowMs);
      for (const timer of due) timer.run();
    }
  }
}

const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`;

let clock: HandClock;
let server: Http1Server;
let port = 0;
/** Requests that were not answered at once: those to /later. */
let later: Exchange[] = [];
let arrived = 0;

const session: Session = {
  onHead: () => 1_000_000,
  onRequest: (head, body, begin, end, exchange) => {
    arrived++;
    if (head.path.startsWith("/later")) later.push(exchange);
    else answer(exchange, `${head.path} ${text(body.bytes.subarray(begin, end))}`);
  },
  refusal: ({ status, message }) => encodeAnswer({ status, headers: [], body: message }, true),
};

function answer(exchange: Exchange, body: string): void {
  exchange.send(encodeAnswer({ status: 200, headers: [], body }, exchange.isLast));
}

async function listen(limits: Partial<DoorLimits> = {}): Promise<void> {
  clock = new HandClock();
  server = new Http1Server({
    limits: { ...DEFAULT_DOOR_LIMITS, ...limits },
    clock,
    turns: systemTurns,
    session: () => session,
  });
  ({ port } = await server.listen({ host: "127.0.0.1", port: 0 }));
}

/** Lets sockets do what is due until `done`. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((next) => setImmediate(next));
}

async function client(...sent: string[]): Promise<RawClient> {
  const before = server.connections;
  const opened = new RawClient(port);
  await until(() => server.connections > before);
  for (const bytes of sent) opened.send(bytes);
  return opened;
}

beforeEach(async () => {
  later = [];
  arrived = 0;
  await listen();
});
afterEach(() => server.stop(AbortSignal.abort()));

describe("connection: order", () => {
  test("later answers to earlier requests -> answers in the order of requests", async () => {
    const c = await client(get("/later/1") + get("/2") + get("/later/3") + get("/4"));
    await until(() => arrived === 4);
    answer(later[1]!, "third");
    answer(later[0]!, "first");
    const bodies = [];
    for (let i = 0; i < 4; i++) bodies.push((await c.answer()).body);
    assert.deepEqual(bodies, ["first", "/2 ", "third", "/4 "]);
    c.close();
  });

  test("100 Continue -> not before the answers ahead of it", async () => {
    const c = await client(get("/later"));
    c.send("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    await until(() => arrived === 1);
    assert.equal(c.pending, "");
    answer(later[0]!, "first");
    assert.equal((await c.answer()).body, "first");
    await c.until(/100 Continue\r\n\r\n$/);
    c.send("ok");
    assert.equal((await c.answer()).status, 100);
    assert.equal((await c.answer()).body, "/b ok");
    c.close();
  });

  test("a last answer -> the connection ends behind it", async () => {
    const c = await client("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", get("/b"));
    assert.equal((await c.answer()).headers["connection"], "close");
    await c.ended();
    assert.equal(c.pending, "");
    c.close();
  });

  test("the client ends its side -> what it asked is still answered", async () => {
    const c = await client(get("/later"));
    c.end();
    await until(() => arrived === 1);
    answer(later[0]!, "there");
    assert.equal((await c.answer()).body, "there");
    await c.ended();
  });

  test("the client ends in the middle of a request -> 400", async () => {
    const c = await client("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    c.end();
    const { status, body } = await c.answer();
    assert.deepEqual([status, body], [400, "Unexpected end of request."]);
  });
});

describe("connection: bounds", () => {
  test("more requests than may be outstanding -> not read until answers leave", async () => {
    const c = await client(get("/later").repeat(PIPELINE_MAX));
    await until(() => arrived === PIPELINE_MAX);
    c.send(get("/more").repeat(3));
    await new Promise((done) => setImmediate(done));
    assert.equal(arrived, PIPELINE_MAX);
    for (const exchange of later) answer(exchange, "x");
    for (let i = 0; i < PIPELINE_MAX + 3; i++) await c.answer();
    assert.equal(arrived, PIPELINE_MAX + 3);
    c.close();
  });

  test("bodies take more memory than may be -> one goes on, the others wait for it", async () => {
    await server.stop(AbortSignal.abort());
    await listen({ receivingBytesMax: 60_000 });
    const head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n";
    const clients = await Promise.all([client(), client(), client()]);
    for (const each of clients) each.send(head + "x".repeat(50_000));
    for (const each of clients) each.send("x".repeat(50_000));
    for (const each of clients) {
      assert.equal((await each.answer()).body.length, "/ ".length + 100_000);
      each.close();
    }
  });
});

describe("connection: time", () => {
  const late: [name: string, sent: string, ms: number, status: number][] = [
    ["a head that does not end", "GET / HTTP/1.1\r\nHo", 10_000, 408],
    ["a body that does not end", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab", 30_000, 408],
    [
      "chunks that do not end",
      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na",
      30_000,
      408,
    ],
    ["an answer that does not come", get("/later"), 30_000, 503],
  ];
  for (const [name, sent, ms, status] of late) {
    test(`${name} -> ${status} in time, then the end`, async () => {
      // What is answered at once tells that the rest of its packet has been read.
      const c = await client(get("/first") + sent);
      await c.answer();
      await until(() => arrived === (status === 503 ? 2 : 1));
      clock.advance(ms - 1000);
      await new Promise((done) => setImmediate(done));
      assert.equal(c.pending, "");
      clock.advance(2000);
      assert.equal((await c.answer()).status, status);
      await c.ended();
      c.close();
    });
  }

  test("a byte now and then -> does not renew the time", async () => {
    const c = await client(`${get("/first")}GET / HTTP/1.1\r\n`);
    await c.answer();
    for (let i = 0; i < 11; i++) {
      c.send("x");
      await new Promise((done) => setImmediate(done));
      clock.advance(1000);
    }
    assert.equal((await c.answer()).status, 408);
    c.close();
  });

  test("nothing to do -> ended without a word; a request in time keeps it", async () => {
    const c = await client(get("/1"));
    await c.answer();
    clock.advance(29_000);
    c.send(get("/2"));
    await c.answer();
    clock.advance(29_000);
    await new Promise((done) => setImmediate(done));
    c.send(get("/3"));
    await c.answer();
    clock.advance(31_000);
    await c.ended();
    assert.equal(c.pending, "");
    c.close();
  });

  test("a late answer after the time-out -> dropped", async () => {
    const c = await client(get("/later"));
    await until(() => arrived === 1);
    clock.advance(31_000);
    assert.equal((await c.answer()).status, 503);
    answer(later[0]!, "too late");
    await c.ended();
    assert.equal(c.pending, "");
    c.close();
  });

  test("a client that does not go -> cut off after its answer", async () => {
    const c = await client("bad\r\n\r\n");
    assert.equal((await c.answer()).status, 501);
    assert.equal(server.connections, 1);
    clock.advance(3000);
    await until(() => server.connections === 0);
    c.close();
  });
});

describe("server: stop", () => {
  test("idle connections end, busy ones are answered first, newcomers are not accepted", async () => {
    const idle = await client();
    const busy = await client(get("/later"));
    await until(() => arrived === 1);
    const stopped = server.stop(new AbortController().signal);
    await idle.ended();
    answer(later[0]!, "bye");
    const last = await busy.answer();
    assert.deepEqual([last.body, last.headers["connection"]], ["bye", "close"]);
    await busy.ended();
    for (const each of [idle, busy]) each.close();
    await stopped;
    const refused = new RawClient(port);
    await refused.ended();
    await listen();
  });
});
