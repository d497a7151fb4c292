// The thread that decodes the demo's flights: answers ranges in the order in which they were asked for.
import { parentPort } from "node:worker_threads";
import { assert } from "@millrace/base";
import type { FlightsReply, FlightsRequest } from "./system-demo-data.ts";
import { openFlights } from "./system-flights-set.ts";

assert(parentPort !== null, "runs as a thread");
const port = parentPort;
const flights = openFlights();

let last: Promise<void> = Promise.resolve();
port.on("message", ({ id, begin, end }: FlightsRequest) => {
  last = last.then(async () => {
    // A failure ends the thread, which fails whoever waits.
    port.postMessage({ id, flights: await flights.read(begin, end) } satisfies FlightsReply);
  });
});
