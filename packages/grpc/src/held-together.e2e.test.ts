// What the connections of a server hold together, on real sockets: whoever takes nothing is ended before the others.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { text, utf8 } from "@millrace/base";
import { callUnary } from "./client-async.ts";
import { channelTo, PATHS, Recorder, serveEcho, signal, ECHO } from "./echo-testkit.ts";
import type { GrpcChannel } from "./grpc-channel.ts";
import { HeldBudget } from "./held-bytes.ts";
import type { CallHandlers, ServerCall } from "./rpc.ts";

const MIB = 2 ** 20;
const PIECE = new Uint8Array(64 * 1024).fill(7);

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Served {
  readonly budget: HeldBudget;
  readonly channel: () => GrpcChannel;
  /** The calls of `/s/m`, which say nothing by themselves. */
  readonly calls: ServerCall[];
  readonly endings: number[];
}

async function served(bytesMax: number): Promise<Served> {
  const endings: number[] = [];
  const budget = new HeldBudget(bytesMax, { held: () => undefined, ended: () => void endings.push(1) });
  const calls: ServerCall[] = [];
  const handlers: CallHandlers = new Map([
    ...ECHO,
    [
      "/s/m",
      (call) => {
        calls.push(call);
        return { onMessage: () => undefined, onHalfClose: () => undefined };
      },
    ],
  ]);
  const echo = await serveEcho({ handlers, budget });
  cleanups.push(() => echo.stop());
  const channel = (): GrpcChannel => {
    const made = channelTo(echo.address);
    cleanups.push(() => made.close(AbortSignal.timeout(200)));
    return made;
  };
  return { budget, channel, calls, endings };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((done) => setImmediate(done));
}

test("answers that nobody takes, beyond the bound -> that connection is ended, others go on", async () => {
  const { budget, channel, calls, endings } = await served(4 * MIB);
  const [greedy, honest] = [channel(), channel()];
  const recorders = Array.from({ length: 3 }, () => new Recorder());
  for (const recorder of recorders) greedy.start("/s/m", {}, recorder).pause();
  await until(() => calls.length === 3);
  assert.equal(text(await callUnary(honest, PATHS.unary, utf8("before"), {}, signal)), "before");
  while (calls.some(({ isOver }) => !isOver)) {
    for (const call of calls) call.send(PIECE);
    await new Promise((done) => setImmediate(done));
  }
  assert.equal(endings.length, 1);
  for (const recorder of recorders) assert.equal((await recorder.ended()).code, "RESOURCE_EXHAUSTED");
  assert.equal(text(await callUnary(honest, PATHS.unary, utf8("after"), {}, signal)), "after");
  assert.ok(budget.bytes < MIB, `${budget.bytes} bytes are held`);
});

test("what handlers keep, beyond the bound -> the connection of most of it is ended", async () => {
  const { budget, channel, calls, endings } = await served(4 * MIB);
  const [first, second] = [new Recorder(), new Recorder()];
  channel().start("/s/m", {}, first);
  await until(() => calls.length === 1);
  channel().start("/s/m", {}, second);
  await until(() => calls.length === 2);
  calls[0]!.holds(MIB);
  calls[1]!.holds(3 * MIB);
  calls[1]!.holds(1);
  const { code, message } = await second.ended();
  assert.equal(code, "RESOURCE_EXHAUSTED");
  assert.match(message, /^this connection holds 31\d+ bytes, all connections 41\d+ \(at most 4194304\)$/);
  assert.deepEqual([endings.length, first.end, calls[0]!.isOver], [1, undefined, false]);
  calls[0]!.finish("OK");
  await first.ended();
  await until(() => budget.bytes === 0);
});

test("calls of all kinds, and all have ended -> nothing is held any more", async () => {
  const { budget, channel } = await served(64 * MIB);
  const one = channel();
  const downloads = Array.from({ length: 4 }, () => new Recorder());
  for (const recorder of downloads) {
    const call = one.start(PATHS.download, {}, recorder);
    call.send(utf8("20 100000"));
    call.halfClose();
  }
  const uploads = Array.from({ length: 4 }, () => new Recorder());
  for (const recorder of uploads) {
    const call = one.start(PATHS.upload, {}, recorder);
    for (let n = 0; n < 20; n++) call.send(PIECE);
    call.halfClose();
  }
  const cancelled = new Recorder();
  const call = one.start(PATHS.bidi, {}, cancelled);
  call.pause();
  for (let n = 0; n < 40; n++) call.send(PIECE);
  for (const each of [...downloads, ...uploads]) assert.equal((await each.ended()).code, "OK");
  call.cancel();
  await cancelled.ended();
  await until(() => budget.bytes === 0);
});
