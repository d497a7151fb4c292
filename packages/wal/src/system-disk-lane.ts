// One lane of the real disk as the main thread sees it: posts runs to the lane's thread and settles their promises.
// Bytes in a SharedArrayBuffer are posted as they are; others are copied once and handed over. Measured with 64 KiB:
// shared 117 us of CPU an op with its sync, copied 195 us; a thread that sleeps in Atomics.wait answers 25% sooner.
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { DiskError, type DiskLane, type DiskOp } from "./disk.ts";
import type { LaneReply, LaneRequest, LaneSetup } from "./system-disk-messages.ts";

/** The log's lane writes to the spools of all busy journals; the other one syncs and removes. */
const OPEN_FILES_MAX: Readonly<Record<DiskLane, number>> = { log: 1024, bulk: 256 };

interface PendingRun {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class SystemDiskLane {
  readonly #port: MessagePort;
  readonly #worker: Worker;
  readonly #posted = new Int32Array(new SharedArrayBuffer(4));
  readonly #pending = new Map<number, PendingRun>();
  readonly #exited: Promise<void>;
  #nextId = 1;
  #ended: DiskError | undefined;
  #drained: (() => void) | undefined;

  constructor(root: string, lane: DiskLane) {
    const { port1, port2 } = new MessageChannel();
    const setup: LaneSetup & { port: MessagePort } = {
      root,
      openFilesMax: OPEN_FILES_MAX[lane],
      posted: this.#posted,
      port: port2,
    };
    // Compiled the worker is a .js file; run from source it is a .ts file.
    const fromSource = import.meta.url.endsWith(".ts");
    const file = fromSource ? "./system-disk-worker-main.ts" : "./system-disk-worker-main.js";
    this.#worker = new Worker(new URL(file, import.meta.url), {
      name: `disk-${lane}`,
      // Flags of the process (--input-type, --inspect-brk) are not for this thread; a loader for sources is.
      execArgv: fromSource ? process.execArgv : [],
      workerData: setup,
      transferList: [port2],
    });
    this.#exited = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
    this.#worker.once("error", (error) => this.#fail(`the disk's ${lane} thread failed: ${error.message}`));
    this.#worker.once("exit", () => this.#fail(`the disk's ${lane} thread has ended`));
    this.#port = port1;
    this.#port.on("message", (reply: LaneReply) => this.#onReply(reply));
    // Idle, neither keeps the process alive; while a run is pending the port does.
    this.#worker.unref();
    this.#port.unref();
  }

  run(ops: readonly DiskOp[]): Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#pending.set(id, { resolve, reject });
      if (this.#pending.size === 1) this.#port.ref();
      const transfer: ArrayBuffer[] = [];
      this.#post({ kind: "run", id, ops: ops.map((op) => postable(op, transfer)) }, transfer);
    });
  }

  forget(paths: readonly string[]): void {
    if (this.#ended === undefined) this.#post({ kind: "forget", paths }, []);
  }

  /** Waits for pending runs, then ends the thread. */
  async close(): Promise<void> {
    // The thread's end may be told before its last reply.
    while (this.#pending.size > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
    if (this.#ended === undefined) {
      this.#worker.ref();
      this.#post({ kind: "close" }, []);
    }
    await this.#exited;
    this.#port.close();
  }

  #post(request: LaneRequest, transfer: ArrayBuffer[]): void {
    this.#port.postMessage(request, transfer);
    Atomics.add(this.#posted, 0, 1);
    Atomics.notify(this.#posted, 0);
  }

  #onReply({ id, failure }: LaneReply): void {
    const run = this.#pending.get(id);
    if (run === undefined) return;
    this.#pending.delete(id);
    if (this.#pending.size === 0) {
      this.#port.unref();
      this.#drained?.();
    }
    if (failure === undefined) run.resolve();
    else run.reject(new DiskError(failure.kind, failure.path, failure.message));
  }

  #fail(message: string): void {
    this.#ended ??= new DiskError("io", "", message);
    for (const run of this.#pending.values()) run.reject(this.#ended);
    this.#pending.clear();
    this.#port.unref();
    this.#drained?.();
  }
}

function postable(op: DiskOp, transfer: ArrayBuffer[]): DiskOp {
  if (op.kind !== "write" || op.bytes.buffer instanceof SharedArrayBuffer) return op;
  const bytes = new Uint8Array(op.bytes);
  transfer.push(bytes.buffer);
  return { ...op, bytes };
}
