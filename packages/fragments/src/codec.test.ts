import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { concatBytes, text, utf8, WireError } from "@millrace/base";
import type { CompressionCodec } from "@millrace/protocol";
import { inlineCodecs, pooledCodecs, type ByteStream, type Codecs } from "./codec.ts";
import {
  GZIP_MEMBERS_VECTOR,
  SNAPPY_VECTOR,
  vectorContent,
  ZSTD_FRAMES_VECTOR,
  ZSTD_VECTOR,
} from "./codec-vectors.ts";

const CODECS: readonly CompressionCodec[] = [
  "NONE",
  "GZIP",
  "ZSTANDARD",
  "SNAPPY",
  "GZIP_OFFLOAD_DECOMPRESSION",
];
const BOTH: readonly [string, Codecs][] = [
  ["pooled", pooledCodecs],
  ["inline", inlineCodecs],
];

async function* stream(...parts: Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield await Promise.resolve(part);
}

async function collect(source: ByteStream): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return concatBytes(parts);
}

const isCorrupt = (error: unknown): boolean => {
  assert.ok(error instanceof WireError, String(error));
  assert.equal(error.code, "CORRUPT", error.message);
  return true;
};

test("decompress: what other programs wrote", async () => {
  const content = vectorContent();
  assert.equal(createHash("sha1").update(content).digest("hex"), "8b864a474b355a4697b87443146b47d65be0ce6d");
  const vectors: [CompressionCodec, string][] = [
    ["GZIP", GZIP_MEMBERS_VECTOR],
    ["GZIP_OFFLOAD_DECOMPRESSION", GZIP_MEMBERS_VECTOR],
    ["ZSTANDARD", ZSTD_VECTOR],
    ["ZSTANDARD", ZSTD_FRAMES_VECTOR],
    ["SNAPPY", SNAPPY_VECTOR],
  ];
  for (const [name, codecs] of BOTH) {
    for (const [codec, vector] of vectors) {
      const out = await collect(
        codecs.decompress(codec, stream(Buffer.from(vector, "base64")), content.length),
      );
      assert.equal(text(out), text(content), `${name} ${codec}`);
    }
  }
});

test("compress: bytes that must not change by accident", async () => {
  const content = utf8("abcabcabcabcabcabcabcabcabcabcabc");
  const snappy = await collect(pooledCodecs.compress("SNAPPY", stream(content)));
  assert.equal(Buffer.from(snappy).toString("hex"), "ff060000734e61507059000c00000a011f3f2108616263760300");
  const zstd = await collect(inlineCodecs.compress("ZSTANDARD", stream(content)));
  assert.equal(Buffer.from(zstd).toString("hex"), "28b52ffd20214d00001861626301008a6e08");
  const none = await collect(pooledCodecs.compress("NONE", stream(content)));
  assert.equal(text(none), text(content));
});

test("decompress: GZIP_OFFLOAD from a store that has decompressed already", async () => {
  for (const [, codecs] of BOTH) {
    for (const content of ["", "a", "ab", "abc", "plain content"]) {
      const plain = codecs.decompress("GZIP_OFFLOAD_DECOMPRESSION", stream(utf8(content)), content.length);
      assert.equal(text(await collect(plain)), content);
      const still = stream(gzipSync(content));
      const both = codecs.decompress("GZIP_OFFLOAD_DECOMPRESSION", still, content.length);
      assert.equal(text(await collect(both)), content);
    }
  }
});

test("decompress: another length than expected -> CORRUPT, and no more than expected is given out", async () => {
  const content = utf8("x".repeat(100_000));
  for (const [, codecs] of BOTH) {
    for (const codec of CODECS) {
      const stored = await collect(codecs.compress(codec, stream(content)));
      await assert.rejects(
        () => collect(codecs.decompress(codec, stream(stored), content.length + 1)),
        isCorrupt,
      );
      for (const bytes of [content.length - 1, 1, 0]) {
        let seen = 0;
        await assert.rejects(async () => {
          for await (const part of codecs.decompress(codec, stream(stored), bytes)) seen += part.length;
        }, isCorrupt);
        assert.ok(seen <= bytes, `${codec} gave ${seen} of ${bytes}`);
      }
    }
  }
});

test("decompress: a bomb -> stops at the expected length", async () => {
  const bomb = gzipSync(new Uint8Array(50_000_000));
  const parts = [bomb, bomb, bomb, bomb, bomb, bomb, bomb, bomb];
  await assert.rejects(() => collect(pooledCodecs.decompress("GZIP", stream(...parts), 1000)), isCorrupt);
});

test("both: an error of the source -> passes through as it is; the source is released", async () => {
  const failure = new WireError("UNAVAILABLE", "store failed");
  for (const [name, codecs] of BOTH) {
    for (const codec of CODECS) {
      let released = false;
      async function* failing(): AsyncGenerator<Uint8Array> {
        try {
          yield await Promise.resolve(Uint8Array.of(0xff));
          throw failure;
        } finally {
          released = true;
        }
      }
      const isFailure = (error: unknown): boolean => error === failure;
      await assert.rejects(() => collect(codecs.compress(codec, failing())), isFailure, `${name} ${codec}`);
      assert.ok(released, `${name} ${codec}`);
    }
    await assert.rejects(
      () => collect(codecs.decompress("NONE", failingAfter(failure), 10)),
      (error) => error === failure,
    );
  }
});

async function* failingAfter(failure: Error): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(Uint8Array.of(1));
  throw failure;
}

test("both: a consumer that stops early -> the source is released", async () => {
  for (const [name, codecs] of BOTH) {
    for (const codec of CODECS) {
      for (const direction of ["compress", "decompress"] as const) {
        let isOpen = false;
        const stored = await collect(codecs.compress(codec, stream(Buffer.from(vectorContent()))));
        async function* endless(): AsyncGenerator<Uint8Array> {
          isOpen = true;
          try {
            for (let i = 0; i < 200; i++) {
              yield await Promise.resolve(direction === "decompress" ? stored : new Uint8Array(100_000));
            }
          } finally {
            isOpen = false;
          }
        }
        const run = codecs[direction](codec, endless(), 10_000_000);
        for await (const _ of run) break;
        assert.ok(!isOpen, `${name} ${codec} ${direction}`);
      }
    }
  }
});

test("compress, decompress: the codec INVALID -> INVALID_ARGUMENT", () => {
  for (const [, codecs] of BOTH) {
    assert.throws(() => codecs.compress("INVALID", stream()), /invalid value \(INVALID\)/);
    assert.throws(() => codecs.decompress("INVALID", stream(), 1), /invalid value \(INVALID\)/);
  }
});
