import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger } from "@millrace/base";
import { Lifecycle } from "./lifecycle.ts";

function part(name: string, trace: string[], fails?: "start" | "stop") {
  return [
    name,
    async () => {
      if (fails === "start") throw new Error(`${name} broke`);
      trace.push(`+${name}`);
    },
    async () => {
      trace.push(`-${name}`);
      if (fails === "stop") throw new Error(`${name} broke`);
    },
  ] as const;
}

test("lifecycle: stop -> reverse order of start", async () => {
  const trace: string[] = [];
  const lifecycle = new Lifecycle(silentLogger);
  for (const name of ["a", "b", "c"]) await lifecycle.start(...part(name, trace));
  await lifecycle.stop(never);
  assert.deepEqual(trace, ["+a", "+b", "+c", "-c", "-b", "-a"]);
});

test("lifecycle: a part fails to start -> those before it are stopped, and the failure is told", async () => {
  const trace: string[] = [];
  const lifecycle = new Lifecycle(silentLogger);
  await lifecycle.start(...part("a", trace));
  await assert.rejects(lifecycle.start(...part("b", trace, "start")), /b broke/);
  assert.deepEqual(trace, ["+a", "-a"]);
});

test("lifecycle: a part fails to stop -> the others stop all the same", async () => {
  const trace: string[] = [];
  const lifecycle = new Lifecycle(silentLogger);
  await lifecycle.start(...part("a", trace));
  await lifecycle.start(...part("b", trace, "stop"));
  await lifecycle.stop(never);
  assert.deepEqual(trace, ["+a", "+b", "-b", "-a"]);
});
