// The thread of one lane of the real disk: takes requests in order, performs them synchronously, says what is done.
// It sleeps in Atomics.wait, which wakes faster than an event loop.
import { type MessagePort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { assert } from "@millrace/base";
import { DiskError, type DiskOp } from "./disk.ts";
import * as lane from "./system-disk-messages.ts";
import { DiskOps } from "./system-disk-ops.ts";

const { root, openFilesMax, memory, port } = workerData as lane.LaneSetup & { port: MessagePort };
const { words, position } = lane.laneMemory(memory);
const ops = new DiskOps(root, openFilesMax);
/** By their numbers (L1). */
let files: string[] = [];
let memories: Uint8Array[] = [];

serve();

function serve(): void {
  for (let done = 0; ;) {
    const posted = Atomics.load(words, lane.POSTED);
    while (done !== posted) {
      done = lane.nextId(done);
      if (words[lane.IN_SLOT] === 1 && words[lane.SLOT_ID] === done) perform(done, slotRun());
      else if (!handle(done, nextMessage())) return;
      Atomics.store(words, lane.DONE, done);
      Atomics.notify(words, lane.DONE);
    }
    Atomics.wait(words, lane.POSTED, posted);
  }
}

function nextMessage(): lane.LaneRequest {
  const next = receiveMessageOnPort(port);
  assert(next !== undefined, "a request is posted before its number");
  return next.message as lane.LaneRequest;
}

function slotRun(): readonly DiskOp[] {
  words[lane.IN_SLOT] = 0;
  const path = files[words[lane.SLOT_FILE]!]!;
  const begin = words[lane.SLOT_BEGIN]!;
  const bytes = memories[words[lane.SLOT_MEMORY]!]!.subarray(begin, begin + words[lane.SLOT_LENGTH]!);
  return [
    { kind: "write", path, position: position[0]!, bytes },
    { kind: "sync", path },
  ];
}

/** @returns false when the lane was closed */
function handle(id: number, request: lane.LaneRequest): boolean {
  switch (request.kind) {
    case "run":
      perform(id, request.ops);
      return true;
    case "forget":
      for (const path of request.paths) ops.forget(path);
      return true;
    case "learn":
      files.push(request.path);
      return true;
    case "learn-memory":
      memories.push(new Uint8Array(request.memory));
      return true;
    case "unlearn":
      files = [];
      memories = [];
      return true;
    case "close":
      ops.close();
      port.close();
      return false;
  }
}

function perform(id: number, run: readonly DiskOp[]): void {
  try {
    ops.perform(run);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const { kind, path } = error instanceof DiskError ? error : { kind: "io" as const, path: "" };
    port.postMessage({ id, kind, path, message } satisfies lane.LaneFailure);
    Atomics.add(words, lane.FAILED, 1);
  }
}
