import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { WireError } from "@millrace/base";
import fc from "fast-check";

import { CannotOpen, plainSecrets, type SealedSecret } from "./secret-box.ts";
import { aesSecrets, parseKeyFile } from "./system-aes-box.ts";

const [KEY, OTHER] = [1, 2].map((byte) => new Uint8Array(32).fill(byte)) as [Uint8Array, Uint8Array];
const LINE = Buffer.from(KEY).toString("base64");
/** Sealed with KEY for "here" by another program, with the nonce 000102…0b. */
const GOLDEN: SealedSecret = {
  v: 1,
  k: "72cd6e8422c407fb",
  iv: "AAECAwQFBgcICQoL",
  data: "3Mn5QkWQJgqbCZWhVNo6V3hL5pqrQe+Q7qvh9Fo=",
};

describe("sealed secrets", () => {
  test("any text at any place -> itself there, CORRUPT anywhere else; never twice the same bytes", () => {
    const box = aesSecrets([KEY]);
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string(), fc.string(), (secret, place, elsewhere) => {
        const sealed = box.seal(secret, place);
        assert.equal(box.open(sealed, place), secret);
        assert.notDeepEqual(box.seal(secret, place), sealed);
        fc.pre(elsewhere !== place);
        assert.throws(() => box.open(sealed, elsewhere), { code: "CORRUPT" });
      }),
    );
  });

  test("any other byte of it -> CORRUPT", () => {
    const box = aesSecrets([KEY]);
    const sealed = box.seal("0123456789", "here") as SealedSecret;
    fc.assert(
      fc.property(fc.constantFrom("iv", "data"), fc.nat(63), (field: "iv" | "data", at) => {
        const bytes = Buffer.from(sealed[field], "base64");
        bytes[at % bytes.length]! ^= 1 << (at % 8);
        const changed = { ...sealed, [field]: bytes.toString("base64") };
        assert.throws(() => box.open(changed, "here"), { code: "CORRUPT" });
      }),
    );
    for (const data of ["", "AAAA", "====", "a b", sealed.data.slice(0, -4)])
      assert.throws(() => box.open({ ...sealed, data }, "here"), { code: "CORRUPT" });
  });

  test("committed bytes -> the secret that was sealed", () => {
    assert.equal(aesSecrets([KEY]).open(GOLDEN, "here"), "golden secret");
  });

  test("a new key first -> it seals, the old one still opens; without the old one -> which is missing", () => {
    const sealed = aesSecrets([KEY]).seal("s", "here");
    const both = aesSecrets([OTHER, KEY]);
    assert.equal(both.open(sealed, "here"), "s");
    assert.throws(() => aesSecrets([KEY]).open(both.seal("s", "here"), "here"), CannotOpen);
    assert.throws(() => plainSecrets.open(sealed, "here"), CannotOpen);
  });

  test("a secret that was stored plain -> itself", () => {
    assert.equal(aesSecrets([KEY]).open("plain", "here"), "plain");
    assert.equal(plainSecrets.open(plainSecrets.seal("plain", "here"), "here"), "plain");
  });
});

describe("key file", () => {
  test("a key a line -> in order", () => {
    const other = Buffer.from(OTHER).toString("base64");
    assert.deepEqual(
      parseKeyFile(`${LINE}\n\n${other}\r\n`).map((key) => key[0]),
      [1, 2],
    );
  });

  for (const content of ["", "\n", "short", LINE.slice(0, -4), `${LINE}\nno key`, `${LINE}\n`.repeat(17)]) {
    test(`${JSON.stringify(content.slice(0, 20))}, ${content.length} characters -> refused, and not shown`, () => {
      assert.throws(
        () => parseKeyFile(content),
        (error) => {
          assert.ok(error instanceof WireError);
          assert.equal(error.code, "INVALID_ARGUMENT");
          for (const line of content.split("\n")) assert.ok(line === "" || !error.message.includes(line));
          return true;
        },
      );
    });
  }
});
