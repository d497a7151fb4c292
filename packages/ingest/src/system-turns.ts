// The event loop of Node: its check phase comes after all sockets that were readable have been read.
import type { Turns } from "./publisher-turns.ts";

export const systemTurns: Turns = {
  atEnd: (run) => {
    setImmediate(run);
  },
};
