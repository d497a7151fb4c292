import assert from "node:assert/strict";
import { test } from "node:test";
import { MetricsRegistry } from "@millrace/base";
import { brokerMetrics } from "./broker-metrics.ts";

test("metrics: what Gazette counts without labels -> 0 from the start", () => {
  const registry = new MetricsRegistry();
  brokerMetrics(registry);
  const lines = registry.render().split("\n");
  for (const name of ["commits", "commit_bytes", "rollbacks", "rollback_bytes"])
    assert.ok(lines.includes(`gazette_spool_${name}_total 0`), name);
});
