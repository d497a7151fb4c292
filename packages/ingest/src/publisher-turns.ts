// Work for the end of the event loop's present turn, when all that has arrived has been read: what came together is
// written together, and an idle process waits for nothing.

export interface Turns {
  /** Calls `run` once, after the input that is ready now has been handled. `run` must not throw. */
  atEnd(run: () => void): void;
}
