// Tasks: row 30 of the specification's table (1.3).
import { DEFINITION_LIMITS } from "@millrace/ingest";
import { taskAnswer, tasksAnswer } from "./answer-schemas.ts";
import { ApiError } from "./api-errors.ts";
import { taskBody } from "./api-responses.ts";
import { PROJECT_ID } from "./lookups.ts";
import { operation, type Operation } from "./operation.ts";
import { tasksQuery } from "./request-schemas.ts";

export const taskOperations: readonly Operation[] = [
  operation({
    id: "listTasks",
    method: "GET",
    path: "/tasks",
    tag: "tasks",
    summary: "List the newest tasks whose records are kept: successes for an hour, others for two days",
    access: "read",
    status: 200,
    query: tasksQuery,
    answer: tasksAnswer,
    errors: [],
    handle: async ({ deps, query }) => {
      const tasks = await deps.tasks.newest(
        PROJECT_ID,
        query.limit ?? DEFINITION_LIMITS.pageLimitMax,
        deps.signal,
      );
      return { tasks: tasks.map((task) => taskBody(task, deps.urls())) };
    },
  }),
  operation({
    id: "getTask",
    method: "GET",
    path: "/tasks/{taskId*}",
    tag: "tasks",
    summary: "Get a task; its ID has slashes",
    access: "read",
    status: 200,
    answer: taskAnswer,
    errors: ["taskNotFound"],
    handle: async ({ deps, path }) => {
      const taskId = path["taskId"] ?? "";
      const task = await deps.tasks.get(PROJECT_ID, taskId, deps.signal);
      if (task === undefined) throw new ApiError("taskNotFound", `Task "${taskId}" not found`);
      return taskBody(task, deps.urls());
    },
  }),
];
