import assert from "node:assert/strict";
import { test } from "node:test";
import { peerProgram } from "./system-peers.ts";

/** What `run` gives with these variables of the environment; undefined unsets one. */
function withEnv<T>(values: Readonly<Record<string, string | undefined>>, run: () => T): T {
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  const set = ([name, value]: readonly [string, string | undefined]): void => {
    if (value === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = value;
  };
  Object.entries(values).forEach(set);
  try {
    return run();
  } finally {
    before.forEach(set);
  }
}

const NOWHERE = { MILLRACE_PEERS: undefined, PATH: "/nonexistent" };
const MISSING = "no etcd: not in the folder MILLRACE_PEERS, nor on the PATH";

test("a program that is nowhere -> the reason for a skip; never with CI=true, unless it is optional", () => {
  const outside = { ...NOWHERE, CI: undefined };
  const inside = { ...NOWHERE, CI: "true" };
  assert.equal(
    withEnv(outside, () => peerProgram("etcd").missing),
    MISSING,
  );
  assert.equal(
    withEnv(inside, () => peerProgram("etcd").missing),
    false,
  );
  assert.equal(
    withEnv(inside, () => peerProgram("etcd", { isOptional: true }).missing),
    MISSING,
  );
});

test("a program in the folder of the peers, or on the PATH -> its path", () => {
  const folder = process.execPath.slice(0, process.execPath.lastIndexOf("/"));
  const found = { path: process.execPath, missing: false };
  for (const env of [
    { MILLRACE_PEERS: folder, PATH: "" },
    { MILLRACE_PEERS: undefined, PATH: folder },
  ]) {
    assert.deepEqual(
      withEnv(env, () => peerProgram("node")),
      found,
    );
  }
});
