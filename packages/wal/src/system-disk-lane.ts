// One lane of the real disk as the main thread sees it: posts runs to the lane's thread and settles their promises.
// Bytes in a SharedArrayBuffer are posted as they are; others are copied once and handed over. Measured with 64 KiB:
// shared 117 us of CPU an op with its sync, copied 195 us; a thread that sleeps in Atomics.wait answers 25% sooner.
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import { assert } from "@millrace/base";
import { DiskError, type DiskLane, type DiskOp } from "./disk.ts";
import * as lane from "./system-disk-messages.ts";

/** The log's lane writes to the spools of all busy journals; the other one syncs and removes. */
const OPEN_FILES_MAX: Readonly<Record<DiskLane, number>> = { log: 1024, bulk: 256 };
/** Files and memories that have numbers; a log has a file for some time, and takes turns with a few buffers. */
const LEARNED_MAX = 16;

interface PendingRun {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Of ES2024; every platform that is supported has it. */
const atomics = Atomics as unknown as {
  waitAsync(
    words: Int32Array,
    at: number,
    value: number,
  ): { readonly async: false } | { readonly async: true; readonly value: Promise<unknown> };
};

export class SystemDiskLane {
  readonly #port: MessagePort;
  readonly #worker: Worker;
  readonly #words: Int32Array;
  readonly #position: Float64Array;
  /** In the order of their numbers. */
  readonly #pending = new Map<number, PendingRun>();
  readonly #exited: Promise<void>;
  readonly #files = new Map<string, number>();
  readonly #memories = new Map<ArrayBufferLike, number>();
  /** Number of the last request, and of the last one that was seen to be done. */
  #posted = 0;
  #done = 0;
  /** The request in the slot, until it was seen to be done. */
  #inSlot: number | undefined;
  /** How many were read, and those of runs that are still pending. */
  #failed = 0;
  readonly #failures = new Map<number, lane.LaneFailure>();
  #isWaiting = false;
  #ended: DiskError | undefined;
  #drained: (() => void) | undefined;

  constructor(root: string, name: DiskLane) {
    const { port1, port2 } = new MessageChannel();
    const memory = lane.newLaneMemory();
    ({ words: this.#words, position: this.#position } = lane.laneMemory(memory));
    const setup: lane.LaneSetup & { port: MessagePort } = {
      root,
      openFilesMax: OPEN_FILES_MAX[name],
      memory,
      port: port2,
    };
    // Compiled the worker is a .js file; run from source it is a .ts file.
    const fromSource = import.meta.url.endsWith(".ts");
    const file = fromSource ? "./system-disk-worker-main.ts" : "./system-disk-worker-main.js";
    this.#worker = new Worker(new URL(file, import.meta.url), {
      name: `disk-${name}`,
      // Flags of the process (--input-type, --inspect-brk) are not for this thread; a loader for sources is.
      execArgv: fromSource ? process.execArgv : [],
      workerData: setup,
      transferList: [port2],
    });
    this.#exited = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
    this.#worker.once("error", (error) => this.#fail(`the disk's ${name} thread failed: ${error.message}`));
    this.#worker.once("exit", () => this.#fail(`the disk's ${name} thread has ended`));
    this.#port = port1;
    // Idle it does not keep the process alive; while a run is pending it does.
    this.#worker.unref();
    this.#port.unref();
  }

  run(ops: readonly DiskOp[]): Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      const id = this.#inMemory(ops) ? this.#post() : this.#send(messageOf(ops));
      this.#pending.set(id, { resolve, reject });
      if (this.#pending.size === 1) this.#worker.ref();
      this.#wait();
    });
  }

  forget(paths: readonly string[]): void {
    if (this.#ended === undefined) this.#send({ kind: "forget", paths });
  }

  /** Waits for pending runs, then ends the thread. */
  async close(): Promise<void> {
    // The thread's end may be told before its last reply.
    while (this.#pending.size > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
    if (this.#ended === undefined) {
      this.#worker.ref();
      this.#send({ kind: "close" });
    }
    await this.#exited;
    this.#port.close();
  }

  /** L1. @returns whether the run stands in the shared memory, and only its number is to be posted */
  #inMemory(ops: readonly DiskOp[]): boolean {
    const [write, sync] = ops;
    if (this.#inSlot !== undefined || ops.length !== 2) return false;
    if (write!.kind !== "write" || sync!.kind !== "sync" || sync!.path !== write!.path) return false;
    const { path, bytes, position } = write!;
    if (!(bytes.buffer instanceof SharedArrayBuffer)) return false;
    if (Math.max(this.#files.size, this.#memories.size) >= LEARNED_MAX) this.#unlearn();
    const file = this.#files.get(path) ?? this.#learn(path);
    const memory = this.#memories.get(bytes.buffer) ?? this.#learnMemory(bytes.buffer);
    const words = this.#words;
    words[lane.SLOT_FILE] = file;
    words[lane.SLOT_MEMORY] = memory;
    words[lane.SLOT_BEGIN] = bytes.byteOffset;
    words[lane.SLOT_LENGTH] = bytes.length;
    this.#position[0] = position;
    words[lane.SLOT_ID] = this.#inSlot = lane.nextId(this.#posted);
    words[lane.IN_SLOT] = 1;
    return true;
  }

  #learn(path: string): number {
    const file = this.#files.size;
    this.#files.set(path, file);
    this.#send({ kind: "learn", path });
    return file;
  }

  #learnMemory(memory: SharedArrayBuffer): number {
    const number = this.#memories.size;
    this.#memories.set(memory, number);
    this.#send({ kind: "learn-memory", memory });
    return number;
  }

  #unlearn(): void {
    this.#files.clear();
    this.#memories.clear();
    this.#send({ kind: "unlearn" });
  }

  /** L2 */
  #send(request: lane.LaneRequest): number {
    this.#port.postMessage(request, request.kind === "run" ? transferOf(request.ops) : []);
    return this.#post();
  }

  #post(): number {
    this.#posted = lane.nextId(this.#posted);
    Atomics.store(this.#words, lane.POSTED, this.#posted);
    Atomics.notify(this.#words, lane.POSTED);
    return this.#posted;
  }

  /** Waits for the next request to be done, as long as a run is pending. */
  #wait(): void {
    while (!this.#isWaiting && this.#pending.size > 0) {
      const waiting = atomics.waitAsync(this.#words, lane.DONE, this.#done);
      if (waiting.async) {
        this.#isWaiting = true;
        void waiting.value.then(() => {
          this.#isWaiting = false;
          this.#settle();
          this.#wait();
        });
      } else this.#settle();
    }
  }

  #settle(): void {
    const done = Atomics.load(this.#words, lane.DONE);
    this.#done = done;
    if (this.#inSlot !== undefined && isBefore(this.#inSlot, done)) this.#inSlot = undefined;
    const failed = Atomics.load(this.#words, lane.FAILED);
    if (failed !== this.#failed) this.#readFailures();
    // A failure that is not seen would pass for a sync.
    assert(isBefore(failed, this.#failed), "failures are posted before they are counted", { failed });
    for (const [id, run] of this.#pending) {
      if (!isBefore(id, done)) break;
      this.#pending.delete(id);
      const failure = this.#failures.get(id);
      this.#failures.delete(id);
      if (failure === undefined) run.resolve();
      else run.reject(new DiskError(failure.kind, failure.path, failure.message));
    }
    if (this.#pending.size > 0) return;
    this.#worker.unref();
    this.#drained?.();
  }

  /** L3. */
  #readFailures(): void {
    for (let next = receiveMessageOnPort(this.#port); next; next = receiveMessageOnPort(this.#port)) {
      const failure = next.message as lane.LaneFailure;
      this.#failures.set(failure.id, failure);
      this.#failed = (this.#failed + 1) | 0;
    }
  }

  #fail(message: string): void {
    this.#ended ??= new DiskError("io", "", message);
    for (const run of this.#pending.values()) run.reject(this.#ended);
    this.#pending.clear();
    this.#worker.unref();
    this.#drained?.();
  }
}

/** Whether `id` is not after `done`. */
function isBefore(id: number, done: number): boolean {
  return ((done - id) | 0) >= 0;
}

function messageOf(ops: readonly DiskOp[]): lane.LaneRequest {
  return { kind: "run", ops: ops.map(postable) };
}

function postable(op: DiskOp): DiskOp {
  if (op.kind !== "write" || op.bytes.buffer instanceof SharedArrayBuffer) return op;
  return { ...op, bytes: new Uint8Array(op.bytes) };
}

/** What is not shared was copied for this. */
function transferOf(ops: readonly DiskOp[]): ArrayBuffer[] {
  const transfer: ArrayBuffer[] = [];
  for (const op of ops)
    if (op.kind === "write" && op.bytes.buffer instanceof ArrayBuffer) transfer.push(op.bytes.buffer);
  return transfer;
}
