import assert from "node:assert/strict";
import { test } from "node:test";
import { RpcError } from "@millrace/grpc";
import { CODE_TRAILER, codeOfRpc } from "./grpc-failures.ts";

const unavailable = (message: string, trailers = new Map<string, string>()): RpcError =>
  new RpcError("UNAVAILABLE", message, { trailers });

test("an append that was sent whole and broke off -> its outcome is unknown", () => {
  assert.equal(codeOfRpc(unavailable("transport is closing"), true, true), "OUTCOME_UNKNOWN");
});

test("a Gazette primary whose peers are not in sync -> nothing was written", () => {
  const error = unavailable('gatherSync: recv from zone:"b" suffix:"two": connection refused');
  assert.equal(codeOfRpc(error, true, true), "UNAVAILABLE");
  const other = new RpcError("UNKNOWN", error.message);
  assert.equal(codeOfRpc(other, true, true), "OUTCOME_UNKNOWN");
});

test("our own code in the trailers -> that, whatever else is said", () => {
  const trailers = new Map([[CODE_TRAILER, "OUTCOME_UNKNOWN"]]);
  assert.equal(codeOfRpc(unavailable("gatherSync: x", trailers), true, true), "OUTCOME_UNKNOWN");
});

test("nobody saw the append -> it may be sent again", () => {
  const error = new RpcError("UNAVAILABLE", "connection refused", { maybeProcessed: false });
  assert.equal(codeOfRpc(error, true, true), "UNAVAILABLE");
});
