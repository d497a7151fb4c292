// The thread of one lane of the real disk: takes requests in order, performs them synchronously, replies.
import { type MessagePort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { DiskError } from "./disk.ts";
import type { LaneReply, LaneRequest, LaneSetup } from "./system-disk-messages.ts";
import { DiskOps } from "./system-disk-ops.ts";

const { root, openFilesMax, posted, port } = workerData as LaneSetup & { port: MessagePort };

serve(new DiskOps(root, openFilesMax));

function serve(ops: DiskOps): void {
  for (;;) {
    // Read before draining: a request that is posted in between changes it, and the wait returns at once.
    const seen = Atomics.load(posted, 0);
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      if (!handle(ops, next.message as LaneRequest)) return;
    }
    Atomics.wait(posted, 0, seen);
  }
}

/** @returns false when the lane was closed */
function handle(ops: DiskOps, request: LaneRequest): boolean {
  switch (request.kind) {
    case "run":
      port.postMessage({ id: request.id, failure: failureOf(ops, request.ops) } satisfies LaneReply);
      return true;
    case "forget":
      for (const path of request.paths) ops.forget(path);
      return true;
    case "close":
      ops.close();
      port.close();
      return false;
  }
}

function failureOf(ops: DiskOps, run: Extract<LaneRequest, { kind: "run" }>["ops"]): LaneReply["failure"] {
  try {
    ops.perform(run);
    return undefined;
  } catch (error) {
    if (error instanceof DiskError) return { kind: error.kind, path: error.path, message: error.message };
    return { kind: "io", path: "", message: error instanceof Error ? error.message : String(error) };
  }
}
