import assert from "node:assert/strict";
import { test } from "node:test";
import type { PipelineProblem } from "@millrace/ingest";
import { Health } from "./health.ts";
import { addPipelineHealth } from "./pipeline-health.ts";

const retrying: PipelineProblem = { kind: "retrying", subject: "file", sink: "1/1/s/a", problem: "refused" };
const unreadable: PipelineProblem = {
  kind: "unreadable",
  subject: "j",
  sink: "1/1/s/a",
  problem: "no frame",
};
const lost: PipelineProblem = { kind: "lost", subject: "j", sink: "1/1/s/b", problem: "ends at 7" };

function pageOf(problems: readonly PipelineProblem[]): { status: number; text: string } {
  const health = new Health();
  addPipelineHealth(health, { health: () => ({ healthy: problems.length === 0, problems }) });
  return health.page();
}

test("readiness: a sink that fails, a partition that cannot be read -> ready, said without a name", () => {
  assert.deepEqual(pageOf([]), { status: 200, text: "ready\n" });
  const text =
    "ready\ndegraded: 1 partition cannot be read; see the log\ndegraded: 1 sink fails to load; see the log\n";
  assert.deepEqual(pageOf([retrying, retrying, unreadable]), { status: 200, text });
});

test("readiness: a partition that lost acknowledged bytes -> not ready", () => {
  const text = "1 partition lost acknowledged bytes and takes no records; see the log\n";
  assert.deepEqual(pageOf([lost, retrying]), { status: 503, text });
});
