import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { BytePool, NO_POOL } from "./byte-pool.ts";

suite("byte pool", () => {
  test("sizes are powers of two from 1 KiB; above 2 MiB as asked", () => {
    const pool = new BytePool(0);
    const cases = [
      [0, 1024],
      [1024, 1024],
      [1025, 2048],
      [1024 * 1024, 1024 * 1024],
      [1024 * 1024 + 1, 2 * 1024 * 1024],
      [2 * 1024 * 1024 + 1, 2 * 1024 * 1024 + 1],
    ];
    for (const [asked, made] of cases) assert.equal(pool.take(asked!).length, made, String(asked));
  });

  test("given back -> taken again by who asks for that size, once", () => {
    const pool = new BytePool(10_000);
    const first = pool.take(3000);
    pool.give(first);
    assert.equal(pool.kept, 4096);
    assert.notEqual(pool.take(1000), first);
    assert.equal(pool.take(2049), first);
    assert.equal(pool.kept, 0);
    assert.notEqual(pool.take(2049), first);
  });

  test("keeps no more than its bound, nothing larger than 2 MiB, and nothing at 0", () => {
    const pool = new BytePool(5000);
    for (let i = 0; i < 3; i++) pool.give(new Uint8Array(2048));
    assert.equal(pool.kept, 4096);
    const large = new BytePool(100_000_000);
    large.give(large.take(3_000_000));
    assert.equal(large.kept, 0);
    NO_POOL.give(NO_POOL.take(10));
    assert.equal(NO_POOL.kept, 0);
  });
});
