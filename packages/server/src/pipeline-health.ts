// What /readyz says of the pipeline: lost bytes stand against being ready; one user's failing sink does not.
import type { Pipeline, PipelineProblem } from "@millrace/ingest";
import type { Health } from "./health.ts";

export function addPipelineHealth(health: Health, pipeline: Pick<Pipeline, "health">): void {
  health.addReason(() => lostLine(pipeline.health().problems));
  health.addDegradation(() => unreadableLine(pipeline.health().problems));
  health.addDegradation(() => failingLine(pipeline.health().problems));
}

function lostLine(problems: readonly PipelineProblem[]): string | undefined {
  const lost = problems.filter(({ kind }) => kind === "lost").length;
  if (lost === 0) return undefined;
  const take = lost === 1 ? "takes" : "take";
  return `${counted(lost, "partition")} lost acknowledged bytes and ${take} no records; see the log`;
}

function unreadableLine(problems: readonly PipelineProblem[]): string | undefined {
  const unreadable = problems.filter(({ kind }) => kind === "unreadable").length;
  return unreadable === 0 ? undefined : `${counted(unreadable, "partition")} cannot be read; see the log`;
}

function failingLine(problems: readonly PipelineProblem[]): string | undefined {
  const sinks = new Set(problems.flatMap(({ kind, sink }) => (kind === "retrying" ? [sink] : []))).size;
  if (sinks === 0) return undefined;
  return `${counted(sinks, "sink")} ${sinks === 1 ? "fails" : "fail"} to load; see the log`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
