// The configuration API as commands call it: the generated client over the platform's address. Loaded when a command
// calls: nobody waits for it who asks for help.
import { systemClock } from "@millrace/base";
import type { Answer, ApiClient, CallName, Input, Task } from "@millrace/api-client";
import type { CliIo } from "./cli-io.ts";
import { doorAddress, requestAt, type DoorOptions } from "./system-doors.ts";

export interface ApiDoor {
  /** @throws {WireError} of the answer's status, with its text */
  call<N extends CallName>(name: N, input: Input<N>): Promise<Answer<N>>;
  /** Waits for the end of a change; says so when that takes a while. @throws {WireError} with the task's error */
  end(started: Task): Promise<Task>;
  /** All pages of a list. */
  all<P extends Paged, T>(
    page: (afterId: string) => Promise<P>,
    items: (page: P) => readonly T[],
  ): Promise<readonly T[]>;
}

interface Paged {
  readonly page: { readonly lastId: string; readonly totalCount: number };
}

export async function openApi(options: DoorOptions, io: CliIo): Promise<ApiDoor> {
  const { allPages, ApiClient, taskEnd } = await import("@millrace/api-client");
  const { token = "" } = options;
  const authorization = token === "" ? {} : { authorization: `Bearer ${token}` };
  const address = doorAddress("api", options);
  const isNamed = options.address !== undefined;
  const api: ApiClient = new ApiClient(({ method, path, contentType, body }, signal) => {
    const type = contentType === undefined ? {} : { "content-type": contentType };
    const headers = { accept: "application/json", ...authorization, ...type };
    return requestAt(address, { method, path, headers, body, isNamed }, signal);
  });
  return {
    call: (name, input) => api.call(name, input, io.signal),
    end: (started) => {
      let isTold = false;
      const onWait = (task: Task): void => {
        if (!isTold) io.err(`waiting for ${task.taskId}\n`);
        isTold = true;
      };
      return taskEnd({ api, clock: systemClock, onWait }, started, io.signal);
    },
    all: allPages,
  };
}
