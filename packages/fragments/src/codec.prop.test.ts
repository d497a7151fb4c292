// Codecs against themselves and against broken input: any split, any truncation, any changed byte.
import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, WireError } from "@millrace/base";
import type { CompressionCodec } from "@millrace/protocol";
import fc from "fast-check";
import { inlineCodecs, pooledCodecs, type ByteStream, type Codecs } from "./codec.ts";
import { ZstdFrameDecoder } from "./codec-zstd-decoder.ts";
import { frameHeaderBytes, parseBlockHeader, parseFrameHeader } from "./codec-zstd-frame.ts";
import { snappyCompress, snappyUncompress } from "./codec-snappy-block.ts";
import { SNAPPY_VECTOR, vectorContent, ZSTD_FRAMES_VECTOR, ZSTD_VECTOR } from "./codec-vectors.ts";

const COMPRESSING: readonly CompressionCodec[] = ["GZIP", "ZSTANDARD", "SNAPPY"];
const codec = fc.constantFrom<CompressionCodec>(...COMPRESSING, "NONE", "GZIP_OFFLOAD_DECOMPRESSION");
const codecs = fc.constantFrom<Codecs>(pooledCodecs, inlineCodecs);

/** Content with runs, repeats and noise, up to a few blocks of every format. */
const content = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.record({ byte: fc.nat(255), count: fc.nat(70_000) }).map(({ byte, count }) => {
        return new Uint8Array(count).fill(byte);
      }),
      fc.nat(14_000).map((at) => vectorContent().subarray(at)),
    ),
    { maxLength: 8 },
  )
  .map(concatBytes);
const cuts = fc.array(fc.nat(), { maxLength: 12 });

function split(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const ends = [...at.map((one) => one % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, i) => bytes.subarray(i === 0 ? 0 : ends[i - 1]!, end));
}

async function* stream(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield await Promise.resolve(part);
}

async function collect(source: ByteStream): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part.slice());
  return concatBytes(parts);
}

test("round trip: any content, any split on both sides", async () => {
  await fc.assert(
    fc.asyncProperty(
      codec,
      codecs,
      codecs,
      content,
      cuts,
      cuts,
      async (name, writer, reader, bytes, a, b) => {
        const stored = await collect(writer.compress(name, stream(split(bytes, a))));
        const again = await collect(reader.decompress(name, stream(split(stored, b)), bytes.length));
        assert.ok(Buffer.compare(again, bytes) === 0);
      },
    ),
    { numRuns: 150 },
  );
});

test("joined streams: the content of both, for gzip, zstd and snappy", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...COMPRESSING),
      codecs,
      content,
      content,
      async (name, one, first, second) => {
        const stored = await Promise.all(
          [first, second].map((bytes) => collect(one.compress(name, stream([bytes])))),
        );
        const again = await collect(one.decompress(name, stream(stored), first.length + second.length));
        assert.ok(Buffer.compare(again, concatBytes([first, second])) === 0);
      },
    ),
    { numRuns: 60 },
  );
});

test("truncation anywhere -> CORRUPT", async () => {
  await fc.assert(
    fc.asyncProperty(codec, codecs, content, fc.nat(), async (name, one, bytes, cut) => {
      fc.pre(bytes.length > 0);
      const stored = await collect(one.compress(name, stream([bytes])));
      const part = stored.subarray(0, cut % stored.length);
      // Without gzip's three first bytes it is content that the store has decompressed, here of the same length.
      fc.pre(name !== "GZIP_OFFLOAD_DECOMPRESSION" || part.length > 2 || part.length !== bytes.length);
      await assert.rejects(() => collect(one.decompress(name, stream([part]), bytes.length)), isCorrupt);
    }),
    { numRuns: 150 },
  );
});

test("a changed byte -> CORRUPT, or content of the expected length", async () => {
  await fc.assert(
    fc.asyncProperty(codec, codecs, content, fc.nat(), fc.nat(7), async (name, one, bytes, at, bit) => {
      fc.pre(bytes.length > 0);
      const stored = (await collect(one.compress(name, stream([bytes])))).slice();
      stored[at % stored.length]! ^= 1 << bit;
      await givesOrRefuses(() => collect(one.decompress(name, stream([stored]), bytes.length)), bytes.length);
    }),
    { numRuns: 200 },
  );
});

test("zstd and snappy of other writers, with bytes changed -> CORRUPT, or content of the expected length", async () => {
  const vectors = [ZSTD_VECTOR, ZSTD_FRAMES_VECTOR, SNAPPY_VECTOR].map((one) => Buffer.from(one, "base64"));
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.nat(2), changes, async (which, all) => {
      const stored = Uint8Array.from(vectors[which]!);
      for (const [at, byte] of all) stored[at % stored.length] = byte;
      const name = which === 2 ? "SNAPPY" : "ZSTANDARD";
      await givesOrRefuses(() => collect(inlineCodecs.decompress(name, stream([stored]), 14_767)), 14_767);
    }),
    { numRuns: 1500 },
  );
});

test("zstd decoder: gives what the library gives, for frames that the library takes too", async () => {
  await fc.assert(
    fc.asyncProperty(content, async (bytes) => {
      fc.pre(bytes.length > 0);
      const stored = await collect(inlineCodecs.compress("ZSTANDARD", stream([bytes])));
      assert.ok(Buffer.compare(decodeFrames(stored), bytes) === 0);
    }),
    { numRuns: 60 },
  );
});

test("snappy block: round trip; garbage -> CORRUPT, or what it announces", () => {
  fc.assert(
    fc.property(content, (bytes) => {
      assert.ok(Buffer.compare(snappyUncompress(snappyCompress(bytes), bytes.length), bytes) === 0);
    }),
    { numRuns: 60 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (garbage) => {
      try {
        assert.ok(snappyUncompress(garbage, 1000).length <= 1000);
      } catch (error) {
        isCorrupt(error);
      }
    }),
    { numRuns: 3000 },
  );
});

test("garbage -> CORRUPT for every format with a checksum or a magic", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...COMPRESSING),
      codecs,
      fc.uint8Array({ minLength: 1 }),
      async (name, one, bytes) => {
        await assert.rejects(() => collect(one.decompress(name, stream([bytes]), 1_000_000)), isCorrupt);
      },
    ),
    { numRuns: 300 },
  );
});

function decodeFrames(stored: Uint8Array): Uint8Array {
  const out: Uint8Array[] = [];
  for (let at = 0; at < stored.length;) {
    at += 4;
    const headBytes = frameHeaderBytes(stored[at]!);
    const header = parseFrameHeader(stored.subarray(at, at + headBytes));
    const decoder = new ZstdFrameDecoder(header.windowBytes);
    at += headBytes;
    for (let last = false; !last;) {
      const block = parseBlockHeader(stored.subarray(at, at + 3));
      out.push(decoder.block(block, stored.subarray(at + 3, at + 3 + block.bytes)));
      at += 3 + block.bytes;
      last = block.last;
    }
    if (header.hasChecksum) at += 4;
  }
  return concatBytes(out);
}

async function givesOrRefuses(run: () => Promise<Uint8Array>, bytes: number): Promise<void> {
  try {
    assert.equal((await run()).length, bytes);
  } catch (error) {
    isCorrupt(error);
  }
}

function isCorrupt(error: unknown): boolean {
  assert.ok(error instanceof WireError, error instanceof Error ? error.stack : String(error));
  assert.equal(error.code, "CORRUPT", error.message);
  return true;
}
