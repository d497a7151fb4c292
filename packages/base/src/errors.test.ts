import assert from "node:assert/strict";
import { test } from "node:test";
import { InvariantError } from "./assert.ts";
import { CODES, WireError, type Code } from "./errors.ts";

test("errors: status and retry come from the table, never from the message", () => {
  for (const code of Object.keys(CODES) as Code[]) {
    const error = new WireError(code, "x", { facts: { offset: 7 } });
    assert.equal(error.status, CODES[code].status);
    assert.equal(error.retry, CODES[code].retry);
    assert.equal(String(error), `${code}: x (offset=7)`);
  }
});

test("errors: what is not ours becomes INTERNAL around its cause; a bug passes through", () => {
  const cause = new Error("boom");
  const wrapped = WireError.from(cause);
  assert.deepEqual([wrapped.code, wrapped.message, wrapped.cause], ["INTERNAL", "boom", cause]);
  assert.equal(WireError.from(wrapped), wrapped);
  assert.equal(WireError.from("text").message, "text");
  assert.throws(() => WireError.from(new InvariantError("claim")), /invariant broken: claim/);
});
