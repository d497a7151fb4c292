// What several calls make together: a change until it is done, a list to its end.
import { WireError, type Clock } from "@millrace/base";
import type { Task } from "./api-answers.ts";
import type { ApiClient } from "./api-client.ts";

/** Between two looks at a task that is under way. */
const POLL_MS = 100;

/**
 * The task once it has succeeded.
 * @param onWait called before each further look
 * @throws {WireError} UNPROCESSABLE with the task's own error
 */
export async function taskEnd(
  ports: { readonly api: ApiClient; readonly clock: Clock; readonly onWait?: (task: Task) => void },
  started: Task,
  signal: AbortSignal,
): Promise<Task> {
  let task = started;
  while (!task.isFinished) {
    ports.onWait?.(task);
    await ports.clock.sleep(POLL_MS, signal);
    task = await ports.api.call("getTask", { taskId: task.taskId }, signal);
  }
  if (task.error !== undefined) throw new WireError("UNPROCESSABLE", task.error);
  return task;
}

interface Paged {
  readonly page: { readonly lastId: string; readonly totalCount: number };
}

/** All items of a list, page by page. @param page asks for the items behind an ID */
export async function allPages<P extends Paged, T>(
  page: (afterId: string) => Promise<P>,
  items: (page: P) => readonly T[],
): Promise<readonly T[]> {
  const all: T[] = [];
  for (let afterId = ""; ;) {
    const answer = await page(afterId);
    const found = items(answer);
    all.push(...found);
    if (found.length === 0 || all.length >= answer.page.totalCount) return all;
    afterId = answer.page.lastId;
  }
}
