import assert from "node:assert/strict";
import { test } from "node:test";
import { MetricsRegistry } from "./metrics.ts";

test("metrics: counters, gauges and histograms -> text format with cumulative buckets", () => {
  const metrics = new MetricsRegistry();
  metrics.counter("a_total", "A").add(2, { kind: 'q"uo\nte' });
  metrics.gauge("b", "B").set(-1.5);
  const seconds = metrics.histogram("c_seconds", "C", [0.1, 1]);
  for (const [value, times] of [[0.05], [0.5, 2], [7, 1]] as const) seconds.observe(value, undefined, times);
  assert.equal(
    metrics.render(),
    [
      "# HELP a_total A",
      "# TYPE a_total counter",
      'a_total{kind="q\\"uo\\nte"} 2',
      "# HELP b B",
      "# TYPE b gauge",
      "b -1.5",
      "# HELP c_seconds C",
      "# TYPE c_seconds histogram",
      'c_seconds_bucket{le="0.1"} 1',
      'c_seconds_bucket{le="1"} 3',
      'c_seconds_bucket{le="+Inf"} 4',
      "c_seconds_sum 8.05",
      "c_seconds_count 4",
      "",
    ].join("\n"),
  );
  assert.equal(seconds.quantile(0.5), 1);
  assert.deepEqual(seconds.snapshot(), { bounds: [0.1, 1], buckets: [1, 2], count: 4 });
});

test("metrics: one name registered twice -> the same series", () => {
  const metrics = new MetricsRegistry();
  metrics.counter("a_total", "A").add(1);
  metrics.counter("a_total", "A").add(1);
  assert.equal(metrics.counter("a_total", "A").value(), 2);
});

test("metrics: labels as one object or as equal ones, used by turns -> one series for each set", () => {
  const metrics = new MetricsRegistry();
  const a = { log: "a" };
  const b = { log: "b" };
  for (const labels of [a, a, b, a, { log: "a" }, b, undefined])
    metrics.counter("a_total", "A").add(1, labels);
  assert.deepEqual(
    [a, b, undefined].map((labels) => metrics.counter("a_total", "A").value(labels)),
    [4, 2, 1],
  );
});

test("metrics: a gauge set when somebody asks -> what is gone is forgotten, nothing is set after the end", () => {
  const metrics = new MetricsRegistry();
  const gauge = metrics.gauge("heads", "Heads.");
  let journals = ["a", "b"];
  const end = metrics.beforeRender(() => {
    gauge.clear();
    for (const journal of journals) gauge.set(1, { journal });
  });
  const lines = (): readonly string[] => metrics.render().trim().split("\n").slice(2);
  assert.deepEqual(lines(), ['heads{journal="a"} 1', 'heads{journal="b"} 1']);
  journals = ["b"];
  assert.deepEqual(lines(), ['heads{journal="b"} 1']);
  end();
  journals = [];
  assert.deepEqual(lines(), ['heads{journal="b"} 1']);
});
