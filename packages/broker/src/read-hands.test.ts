import assert from "node:assert/strict";
import { test } from "node:test";
import { never, systemClock } from "@millrace/base";
import type { ReadResponse } from "@millrace/protocol";
import { applySpec, journalSpec, openTestBroker, preamble, readRequest } from "./broker-testkit.ts";

const KIB = 1024;
const J = "a/journal";

test("read: readers take nothing -> the first have large chunks, others one of 32 KiB until those go", async () => {
  const { transport, close } = await openTestBroker({ readsHeldBytesMax: 4096 * KIB, clock: systemClock });
  try {
    await applySpec(transport, journalSpec(J));
    const content = { kind: "bytes", bytes: [new Uint8Array(2048 * KIB)] } as const;
    await transport.append(preamble(J), content, never);
    const stalled = async (): Promise<[number, AsyncIterator<ReadResponse>]> => {
      const reading = transport.read(readRequest(J), never)[Symbol.asyncIterator]();
      await reading.next();
      const { value } = await reading.next();
      return [(value as ReadResponse).content!.length, reading];
    };
    const readers: [number, AsyncIterator<ReadResponse>][] = [];
    for (let i = 0; i < 40; i++) readers.push(await stalled());
    const chunks = readers.map(([bytes]) => bytes);
    assert.deepEqual(chunks, [
      ...Array.from({ length: 4 }, () => 512 * KIB),
      ...Array.from({ length: 36 }, () => 32_736),
    ]);
    // One that goes on while there is no room gets small ones as well, in order and without a gap.
    const [, slow] = readers[0]!;
    let offset = 512 * KIB;
    for (let i = 0; i < 4; i++) {
      const { value } = (await slow.next()) as { value: ReadResponse };
      assert.equal(value.offset, offset);
      offset += value.content!.length;
    }
    assert.equal(offset, 1024 * KIB + 3 * 32_736);
    for (const [, reading] of readers) await reading.return?.();
    const [bytes, last] = await stalled();
    assert.equal(bytes, 512 * KIB);
    await last.return?.();
  } finally {
    await close();
  }
});
