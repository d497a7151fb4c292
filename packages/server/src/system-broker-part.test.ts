// The broker's door before there is a broker, on a real socket.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MetricsRegistry, never, silentLogger, systemClock, systemRandom, TokenBook } from "@millrace/base";
import type { Broker } from "@millrace/broker";
import { flagSource, resolveConfig } from "./config.ts";
import { Health } from "./health.ts";
import { Lifecycle } from "./lifecycle.ts";
import { openBrokerDoor } from "./system-broker-part.ts";
import { ask } from "./test-http.ts";

test("broker door: until it serves -> every listener says that it is not ready, not its own alone", async () => {
  const health = new Health();
  const lifecycle = new Lifecycle(silentLogger);
  const { config } = resolveConfig([flagSource(new Map([["broker.listen", "127.0.0.1:0"]]))]);
  const context = {
    config,
    health,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    tokens: new TokenBook(""),
    metrics: new MetricsRegistry(),
  };
  const door = await openBrokerDoor(lifecycle, context as Parameters<typeof openBrokerDoor>[1]);
  try {
    const own = async (): Promise<readonly [number, string]> => {
      const { status, text } = await ask(`http://127.0.0.1:${door.listener.port}/readyz`);
      return [status, text];
    };
    assert.deepEqual(health.page(), { status: 503, text: "the broker is starting\n" });
    assert.deepEqual(await own(), [503, "the broker is starting\n"]);
    door.open({} as Broker);
    assert.deepEqual(health.page(), { status: 200, text: "ready\n" });
    assert.deepEqual(await own(), [200, "ok\n"]);
  } finally {
    await lifecycle.stop(never);
  }
});
