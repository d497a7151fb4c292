// The demo's flights, decoded by a thread of their own: a row group takes most of a second in one turn, for which the
// platform's thread would acknowledge nothing.
import { Worker } from "node:worker_threads";
import { WireError } from "@millrace/base";
import { JSON_FLIGHTS, PARQUET_FLIGHTS, type Flight, type FlightData } from "./demo-records.ts";

export interface FlightsRequest {
  readonly id: number;
  readonly begin: number;
  readonly end: number;
}

export interface FlightsReply {
  readonly id: number;
  readonly flights: readonly Flight[];
}

interface PendingRead {
  readonly resolve: (flights: readonly Flight[]) => void;
  readonly reject: (error: Error) => void;
}

/** Starts the thread. Whoever opened it closes it, which also ends reads that are under way. */
export function openDemoData(): FlightData & { close(): Promise<void> } {
  // Compiled the worker is a .js file; run from source it is a .ts file.
  const fromSource = import.meta.url.endsWith(".ts");
  const file = fromSource ? "./system-flights-main.ts" : "./system-flights-main.js";
  const worker = new Worker(new URL(file, import.meta.url), {
    name: "demo-flights",
    // Flags of the process (--input-type, --inspect-brk) are not for this thread; a loader for sources is.
    execArgv: fromSource ? process.execArgv : [],
  });
  const pending = new Map<number, PendingRead>();
  let ended: Error | undefined;
  const fail = (error: Error): void => {
    ended ??= error;
    for (const read of pending.values()) read.reject(ended);
    pending.clear();
  };
  worker.once("error", fail);
  worker.once("exit", () => fail(new WireError("INTERNAL", "the thread of the demo's flights has ended")));
  worker.on("message", ({ id, flights }: FlightsReply) => {
    pending.get(id)?.resolve(flights);
    pending.delete(id);
  });
  let nextId = 0;
  return {
    count: JSON_FLIGHTS + PARQUET_FLIGHTS,
    read: (begin, end) =>
      new Promise((resolve, reject) => {
        if (ended !== undefined) return reject(ended);
        const id = nextId++;
        pending.set(id, { resolve, reject });
        worker.postMessage({ id, begin, end } satisfies FlightsRequest, []);
      }),
    close: async () => {
      await worker.terminate();
    },
  };
}
