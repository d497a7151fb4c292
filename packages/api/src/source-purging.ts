// Purges a source as a task (specification 1.9): its doors are shut first, then it goes from the definitions, and the
// task waits until everything that stands in the way of another source with its ID is gone.
import { WireError } from "@millrace/base";
import type { By, SourceKey } from "@millrace/ingest";
import type { ApiDependencies } from "./api-dependencies.ts";
import { outputsOf, startTask } from "./task-runner.ts";
import type { TaskSuccess } from "./task-store.ts";

/** From one look at how far the purge is to the next. */
const LOOK_MS_MIN = 20;
const LOOK_MS_MAX = 1000;

/** @throws {ApiError} 409 when another task works on the source */
export function purgeSource(deps: ApiDependencies, key: SourceKey, by: By): Promise<object> {
  const task = { type: "api.delete.source", key, isRepeatable: false } as const;
  return startTask(deps, task, async (signal, report) => {
    const outputs = outputsOf(deps, key);
    await report(outputs);
    await shut(deps, key, by, signal);
    const begun = await deps.purge.begin(key, signal);
    if (begun.kind !== "purging") throw new WireError("CONFLICT", refusals[begun.kind]);
    await deps.settled(begun.revision, signal);
    const kept = await finished(deps, key, begun.at, signal);
    if (kept.length === 0) return success(outputs);
    const reasons = kept.join("; ");
    throw new WireError(
      "UNPROCESSABLE",
      `source deleted, but some destination resources could not be removed: ${reasons}`,
    );
  });
}

const refusals = {
  active: "The source was undeleted meanwhile: nothing of it has been removed.",
  notFound: "The source is gone: another purge has taken it.",
} as const;

function success(outputs: TaskSuccess["outputs"]): TaskSuccess {
  return { result: "Source and its destination tables and bucket have been deleted.", outputs };
}

/** No door takes records any more, of whatever process. */
async function shut(deps: ApiDependencies, key: SourceKey, by: By, signal: AbortSignal): Promise<void> {
  const outcome = await deps.repository.changeSource(key, { kind: "delete" }, by, signal);
  if ("entity" in outcome) await deps.settled(outcome.revision, signal);
}

async function finished(
  { purge, clock }: ApiDependencies,
  key: SourceKey,
  at: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  for (let waitMs = LOOK_MS_MIN; ; waitMs = Math.min(2 * waitMs, LOOK_MS_MAX)) {
    const { isDone, kept } = await purge.progress(key, at, signal);
    if (isDone) return kept;
    await clock.sleep(waitMs, signal);
  }
}
