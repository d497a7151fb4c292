// One life of the platform's process, as the world outside sees it.
import { setMaxListeners } from "node:events";
import type { WireError } from "@millrace/base";
import { Life } from "@millrace/broker/testkit";
import type { Disk } from "@millrace/wal";

export class Process {
  readonly number: number;
  readonly disk: Disk;
  readonly life = new Life();
  /** Of all requests to it. Never aborts; what waits for a dead process is forgotten with it. */
  readonly signal: AbortSignal = new AbortController().signal;
  /** A sync of it failed, on purpose: it has to end (D5). */
  syncFailed = false;
  /** Why it ended itself. */
  fatal: WireError | undefined;

  constructor(number: number, disk: Disk) {
    this.number = number;
    this.disk = disk;
    setMaxListeners(0, this.signal);
  }
}

/** The process has ended itself, as it has to. Whoever drives it goes on with the next life. */
export class ProcessEnded extends Error {}
