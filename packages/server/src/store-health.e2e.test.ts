// A platform whose fragment store fails: where an operator sees it, and that it comes back by itself.
import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ask } from "./test-http.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";

test("fragment store: fails -> metrics, probes and REST say so; works again -> ready, append taken", async () => {
  const platform = await TestPlatform.start(scratch());
  const { broker, api } = platform.endpoints;
  const failing = async (): Promise<string | undefined> =>
    /^millrace_stores_failing (\d+)$/m.exec((await ask(`${broker}/metrics`)).text)?.[1];
  assert.equal(await failing(), "0");
  const root = join(platform.data, "fragments");
  renameSync(root, `${root}.away`);
  writeFileSync(root, "no directory");
  const waiting = ask(`${broker}/examples/stored`, { method: "PUT", body: "kept" });
  await until("the store fails", 10_000, async () => (await failing()) === "1");
  for (const door of [broker, api]) {
    const { status, text } = await ask(`${door}/readyz`);
    assert.equal(status, 503, door);
    assert.match(text, /^no journal takes appends: the fragment store of each fails$/m);
  }
  const headers = { "content-type": "application/json" };
  const body = '{"fragmentStore":"file:///fragments/"}';
  const health = await ask(`${broker}/v1/journals/store-health`, { method: "POST", headers, body });
  assert.match(
    health.text,
    /"status":"FRAGMENT_STORE_UNHEALTHY".*"storeHealthError":"health check PUT failed: /,
  );
  renameSync(root, `${root}.file`);
  renameSync(`${root}.away`, root);
  assert.equal((await waiting).status, 204);
  assert.equal(await failing(), "0");
  assert.deepEqual((await ask(`${broker}/readyz`)).text, "ok\n");
  assert.equal((await ask(`${broker}/examples/stored`)).text, "kept");
  await platform.stop();
});
