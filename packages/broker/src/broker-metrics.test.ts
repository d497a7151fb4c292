import assert from "node:assert/strict";
import { test } from "node:test";
import { MetricsRegistry, WireError } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { brokerMetrics, CallMeter } from "./broker-metrics.ts";

test("metrics: what Gazette counts without labels -> 0 from the start", () => {
  const registry = new MetricsRegistry();
  brokerMetrics(registry);
  const lines = registry.render().split("\n");
  for (const name of ["commits", "commit_bytes", "rollbacks", "rollback_bytes"])
    assert.ok(lines.includes(`gazette_spool_${name}_total 0`), name);
});

test("metrics: calls that ended -> statuses as Gazette names them, errors besides by their code", async () => {
  const registry = new MetricsRegistry();
  const meter = new CallMeter(brokerMetrics(registry), new SimulatedClock(new Agenda()), "Append");
  const ends = [
    "OK",
    "SUSPENDED",
    new WireError("UNAVAILABLE", "a"),
    new WireError("TOO_LARGE", "b"),
    "cancelled",
  ];
  for (const end of ends) meter.end(end);
  await Promise.resolve();
  const counted = registry.render().split("\n");
  assert.deepEqual(
    counted.filter((line) => /^(gazette_journal_server_completed|millrace_broker_failed)/.test(line)),
    [
      'gazette_journal_server_completed_totals{operation="Append",status="ok"} 1',
      'gazette_journal_server_completed_totals{operation="Append",status="SUSPENDED"} 1',
      'gazette_journal_server_completed_totals{operation="Append",status="<error>"} 2',
      'gazette_journal_server_completed_totals{operation="Append",status="cancelled"} 1',
      'millrace_broker_failed_calls_total{operation="Append",code="UNAVAILABLE"} 1',
      'millrace_broker_failed_calls_total{operation="Append",code="TOO_LARGE"} 1',
    ],
  );
});
