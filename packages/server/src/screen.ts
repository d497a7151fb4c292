// What a platform process writes to stderr: its log as lines of JSON, and words for a person.
//
// S1 Every log line stands on a line of its own and, unless log.format says otherwise, begins with "{"; no line for
//    people begins so. `grep '^{'` parts them.
// S2 On a terminal the live line is rewritten in place, and makes room for whatever else comes.
// S3 For programs (--json) there are no words: stderr is the log alone.

export interface Screen {
  /** A line of the log, with its newline. */
  log(line: string): void;
  /** Whole lines for a person. */
  tell(text: string): void;
  /** How things stand, without a newline: replaces what it said before where that is possible. */
  live(line: string): void;
  /** The live line said its last. */
  endLive(): void;
  /** Whether the live line is rewritten: elsewhere each is a line that stays. */
  readonly isTerminal: boolean;
}

const CLEAR = "\r\u001b[K";

export function stderrScreen(
  stderr: { err(text: string): void; readonly isTerminal: boolean },
  audience: "people" | "programs",
): Screen {
  let isLive = false;
  const write = (text: string): void => {
    stderr.err(isLive ? CLEAR + text : text); // S2
    isLive = false;
  };
  if (audience === "programs") {
    const nothing = (): void => undefined; // S3
    return { log: write, tell: nothing, live: nothing, endLive: nothing, isTerminal: false };
  }
  return {
    log: write,
    tell: write,
    live: (line) => {
      write(stderr.isTerminal ? line : `${line}\n`);
      isLive = stderr.isTerminal;
    },
    endLive: () => {
      if (isLive) stderr.err("\n");
      isLive = false;
    },
    isTerminal: stderr.isTerminal,
  };
}
