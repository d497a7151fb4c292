// How much memory a reader holds for a message that is under way: none before there is something to keep.
import assert from "node:assert/strict";
import { test } from "node:test";
import { HeldBytes } from "./held-bytes.ts";
import { MessageReader, PartialMessages } from "./message-reader.ts";

const BYTES = 100;
const prefix = new Uint8Array([0, 0, 0, 0, BYTES]);

interface Fixture {
  readonly shared: PartialMessages;
  readonly push: (...parts: readonly Uint8Array[]) => void;
  /** Lengths of the messages that came whole. */
  readonly whole: number[];
}

function reader(): Fixture {
  const shared = new PartialMessages(new HeldBytes(undefined, () => undefined));
  const whole: number[] = [];
  const onWhole = (message: Uint8Array): void => void whole.push(message.length);
  const one = new MessageReader({ onWhole }, { shared, bytesMax: 1 << 20, side: "server" });
  const push = (...parts: readonly Uint8Array[]): void => {
    const bytes = Buffer.concat(parts);
    assert.equal(one.push(bytes, 0, bytes.length), 0);
  };
  return { shared, push, whole };
}

test("memory of a message: its prefix alone came, whole or in two -> none", () => {
  const { shared, push } = reader();
  push(prefix);
  assert.equal(shared.bytes, 0);
  const other = reader();
  other.push(prefix.subarray(0, 2));
  other.push(prefix.subarray(2));
  assert.equal(other.shared.bytes, 0);
});

test("memory of a message: all of it came at once, behind its prefix or with it -> none", () => {
  const { shared, push, whole } = reader();
  push(prefix);
  push(new Uint8Array(BYTES));
  push(prefix, new Uint8Array(BYTES), prefix);
  push(new Uint8Array(BYTES), prefix.subarray(0, 1));
  assert.deepEqual([whole, shared.bytes], [[BYTES, BYTES, BYTES], 0]);
});

test("memory of a message: a part of it came -> no more than the message, until it is whole", () => {
  const { shared, push, whole } = reader();
  push(prefix);
  push(new Uint8Array(1));
  assert.equal(shared.bytes, BYTES);
  push(new Uint8Array(BYTES - 1));
  assert.deepEqual([whole, shared.bytes], [[BYTES], 0]);
});
