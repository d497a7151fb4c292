// What everybody relies on who works by a ring: one owner for each key, whoever asks, and few keys that move.
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HashRing } from "./hash-ring.ts";

const anyIds = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 12 });
const anyKeys = fc.array(fc.string({ maxLength: 60 }), { minLength: 1, maxLength: 60 });

test("ring: any members and keys -> each key has one owner, a member, and the order of members does not matter", () => {
  fc.assert(
    fc.property(anyIds, anyKeys, (ids, keys) => {
      const ring = new HashRing(ids);
      const other = new HashRing([...ids, ...ids].reverse());
      deepEqual(other.ids, ring.ids);
      for (const key of keys) {
        ok(ids.includes(ring.owner(key)!));
        equal(other.owner(key), ring.owner(key));
      }
    }),
  );
});

test("ring: a member comes or goes -> only its own keys move", () => {
  fc.assert(
    fc.property(anyIds, anyKeys, fc.string({ minLength: 1, maxLength: 40 }), (ids, keys, id) => {
      fc.pre(!ids.includes(id));
      const without = new HashRing(ids);
      const joined = new HashRing([...ids, id]);
      for (const key of keys) {
        const owner = joined.owner(key);
        if (owner !== id) equal(owner, without.owner(key));
      }
    }),
  );
});

test("ring: nobody there -> nobody owns anything", () => {
  equal(new HashRing([]).owner("key"), undefined);
});

test("ring: ids and keys that are much alike -> everybody has its share", () => {
  for (const count of [2, 3, 4, 7, 10]) {
    const ring = new HashRing(Array.from({ length: count }, (_, i) => `node-${i}`));
    const shares = new Map<string, number>();
    const keys = 10_000;
    for (let i = 0; i < keys; i++) {
      const owner = ring.owner(`stream/1/1/orders-${i % 100}/table-${i % 7}/p${String(i).padStart(3, "0")}`)!;
      shares.set(owner, (shares.get(owner) ?? 0) + 1);
    }
    equal(shares.size, count);
    for (const share of shares.values())
      ok(Math.abs(share / (keys / count) - 1) < 0.15, `${share} of ${keys}`);
  }
});

const GOLDEN: readonly string[] = [
  "0123456789abcdef0123456789abcdef",
  "b",
  "b",
  "0123456789abcdef0123456789abcdef",
  "c",
  "c",
];

test("ring: golden: processes of all versions agree on owners", () => {
  const ring = new HashRing(["a", "b", "c", "ä", "0123456789abcdef0123456789abcdef"]);
  const keys = [
    "",
    "x",
    "1/1/orders/table",
    "stream/1/1/orders/table/p000",
    "stream/1/1/orders/table/p001",
    "日本",
  ];
  deepEqual(
    keys.map((key) => ring.owner(key)),
    GOLDEN,
  );
});
