// Tasks: row 30 of the specification's table (1.3).
import { taskAnswer } from "./answer-schemas.ts";
import { ApiError } from "./api-errors.ts";
import { taskBody } from "./api-responses.ts";
import { PROJECT_ID } from "./lookups.ts";
import { operation, type Operation } from "./operation.ts";

export const taskOperations: readonly Operation[] = [
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
