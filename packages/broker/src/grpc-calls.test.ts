import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeCall } from "./fake-call.ts";
import { oneRequest } from "./grpc-calls.ts";

const PATH = "/s/m";
const MESSAGE = new Uint8Array(1);

interface Made {
  readonly call: FakeCall;
  /** Messages that were made for the call. */
  messages: number;
  isLetGo: boolean;
}

/** A call whose answers have no end, when its client has room for one of them. */
async function stalled(): Promise<Made> {
  const made = { messages: 0, isLetGo: false };
  async function* answers(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        made.messages++;
        yield await Promise.resolve(MESSAGE);
      }
    } finally {
      made.isLetGo = true;
    }
  }
  const handler = oneRequest(
    (bytes) => bytes.length,
    () => undefined,
    async (_, call) => {
      for await (const message of answers()) await call.send(message);
    },
  );
  const call = new FakeCall(new Map([[PATH, handler]]), PATH);
  call.room = 1;
  call.receive(MESSAGE).halfClose();
  await turns();
  assert.deepEqual([made.messages, call.sent.length, made.isLetGo], [1, 1, false]);
  return Object.assign(made, { call });
}

async function turns(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise((done) => setImmediate(done));
}

test("grpc call: cancelled while it waits for room -> nothing more is made, and what makes it is let go", async () => {
  const made = await stalled();
  made.call.cancel();
  await turns();
  assert.deepEqual([made.messages, made.isLetGo], [1, true]);
});

test("grpc call: a second request while it waits for room -> INTERNAL, and what makes answers is let go", async () => {
  const made = await stalled();
  made.call.receive(MESSAGE);
  await turns();
  assert.deepEqual([made.call.ended?.code, made.messages, made.isLetGo], ["INTERNAL", 1, true]);
});

test("grpc call: room again -> the next answer", async () => {
  const made = await stalled();
  made.call.drain(1);
  await turns();
  assert.deepEqual([made.messages, made.isLetGo], [2, false]);
  made.call.cancel();
  await turns();
  assert.deepEqual([made.messages, made.isLetGo], [2, true]);
});
