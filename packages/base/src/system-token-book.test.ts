import assert from "node:assert/strict";
import { test } from "node:test";

import { seededRandom } from "./simulated-ports.ts";
import { newToken, TokenBook, type KnownToken, type TokenRole } from "./system-token-book.ts";

const PLATFORM = "0123456789abcdef";
const RANDOM = seededRandom("tokens");

function made(role: TokenRole): { readonly text: string; readonly known: KnownToken } {
  const { tokenId, text, hash } = newToken(RANDOM);
  return { text, known: { tokenId, description: role, role, hash } };
}

test("new token: its record holds no part of its secret, and no two are alike", () => {
  const [one, other] = [newToken(RANDOM), newToken(RANDOM)];
  assert.match(one.text, /^mill_[0-9a-f]{12}_[0-9a-f]{64}$/);
  assert.match(one.hash, /^[0-9a-f]{64}$/);
  assert.ok(!one.text.includes(one.hash));
  assert.notEqual(one.text, other.text);
});

test("token book: nobody's token until there is one of the platform or the project", () => {
  const open = new TokenBook("", "inner");
  assert.deepEqual(open.ownerOf(undefined), { kind: "everyone", role: "admin" });
  assert.equal(open.isRequired, false);
  const { known } = made("admin");
  open.replace([known]);
  assert.equal(open.isRequired, true);
  assert.equal(open.ownerOf(undefined), undefined);
  assert.equal(open.ownerOf("inner")?.kind, "platform");
  open.replace([]);
  assert.equal(open.ownerOf(undefined)?.kind, "everyone");

  const guarded = new TokenBook(PLATFORM);
  assert.equal(guarded.ownerOf(undefined), undefined);
  assert.equal(guarded.ownerOf(""), undefined, "no inner token is no token");
  assert.equal(guarded.ownerOf(PLATFORM)?.kind, "platform");
  assert.equal(guarded.bearerOf(`Bearer ${PLATFORM}`)?.kind, "platform");
  assert.equal(guarded.bearerOf(PLATFORM), undefined);
});

test("token book: a token of the project -> its role; another's secret, a hash, a deleted one -> nobody", () => {
  const [admin, reader] = [made("admin"), made("readOnly")];
  const book = new TokenBook(PLATFORM);
  let changes = 0;
  book.observe(() => changes++);
  book.replace([admin.known, reader.known]);
  assert.equal(book.ownerOf(admin.text)?.role, "admin");
  const { tokenId, description } = reader.known;
  assert.deepEqual(book.ownerOf(reader.text), { kind: "project", role: "readOnly", tokenId, description });
  const mixed = reader.text.replace(tokenId, admin.known.tokenId);
  const last = reader.text.endsWith("0") ? "1" : "0";
  for (const wrong of [
    mixed,
    reader.text.slice(0, -1) + last,
    `${reader.text}0`,
    reader.known.hash,
    "mill_",
    "",
  ])
    assert.equal(book.ownerOf(wrong), undefined, wrong);
  book.replace([admin.known]);
  assert.equal(book.ownerOf(reader.text), undefined);
  assert.equal(changes, 2);
});

test("token book: a record without a hash -> lets nobody in, and requires tokens all the same", () => {
  const { text, known } = made("admin");
  const book = new TokenBook("");
  book.replace([{ ...known, hash: "" }]);
  assert.equal(book.isRequired, true);
  assert.equal(book.ownerOf(text), undefined);
});
