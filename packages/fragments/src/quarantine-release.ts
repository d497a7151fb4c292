// Quarantined files that a store has made needless (docs/adr/0012). A broker that was away finds fragments that nobody
// asks it for any more, because a store has them, and sets them aside; without this they would fill the disk.
//
//   Q1  A file goes only when a listed object has its bounds and its SHA-1, and was read back whole with that SHA-1.
//   Q2  Parts of files, unfinished copies and whatever else stands in quarantine stay.
import { WireError, type Counter, type Metrics } from "@millrace/base";
import type { Disk, DiskOp } from "@millrace/wal";
import type { RemoteEntry } from "./fragment-index.ts";
import { isIntact, type RemotePorts } from "./remote-fragments.ts";
import { parseFragmentFile, QUARANTINE_DIR, SPOOLS_DIR } from "./spool-paths.ts";
import type { JournalLife, Spools } from "./spools.ts";
import { RunningSha1 } from "./system-sha1.ts";

const CHUNK_BYTES = 1024 * 1024;

type Life = Pick<JournalLife, "journal" | "createRevision">;

export interface QuarantineReleasePorts extends RemotePorts {
  readonly spools: Pick<Spools, "releaseAside">;
  readonly metrics: Metrics;
}

/** A whole fragment in quarantine. */
export interface AsideFragment {
  readonly begin: number;
  readonly end: number;
  /** SHA-1 of the file, 40 hex digits: reads all of it. */
  readonly sum: () => Promise<string>;
}

export interface Released {
  readonly files: number;
  readonly bytes: number;
}

/**
 * Removes the fragments of one life from quarantine of which `isStored` says that a store has them.
 * @param dir of the life among the spools
 * @throws {DiskError}; what `isStored` throws: what was removed before stays removed
 */
export async function releaseAside(
  disk: Disk,
  dir: string,
  isStored: (fragment: AsideFragment) => Promise<boolean>,
): Promise<Released> {
  const aside = `${QUARANTINE_DIR}/${dir.slice(SPOOLS_DIR.length + 1)}`;
  let [files, bytes] = [0, 0];
  for (const entry of await disk.list(aside)) {
    const begin = entry.kind === "file" ? beginOf(entry.name) : undefined;
    if (begin === undefined) continue; // Q2
    const path = `${aside}/${entry.name}`;
    const sum = (): Promise<string> => sumOfFile(disk, path);
    if (!(await isStored({ begin, end: begin + entry.bytes, sum }))) continue;
    const ops: DiskOp[] = [
      { kind: "remove", path },
      { kind: "sync-dir", path: aside },
    ];
    await disk.run("bulk", ops);
    files++;
    bytes += entry.bytes;
  }
  return { files, bytes };
}

/** Compares quarantine with what listings show, for all journals of a broker. */
export class QuarantineRelease {
  readonly #ports: QuarantineReleasePorts;
  readonly #released: Counter;
  /** Files and objects are read one after the other: nobody waits for this. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(ports: QuarantineReleasePorts) {
    this.#ports = ports;
    this.#released = ports.metrics.counter(
      "millrace_spool_quarantine_released_total",
      "Files removed from quarantine: a store has them.",
    );
  }

  /**
   * Releases what stands aside of `life` and is in a store. What fails is logged and tried after the next listing.
   * @param listed all fragments of the journal in its stores
   */
  async listed(life: Life, listed: readonly RemoteEntry[], signal: AbortSignal): Promise<void> {
    const { spools, logger } = this.#ports;
    const isStored = (fragment: AsideFragment): Promise<boolean> => this.#isAmong(listed, fragment, signal);
    try {
      const { files, bytes } = await spools.releaseAside(life, isStored);
      if (files === 0) return;
      this.#released.add(files);
      logger.info("quarantine-released", { journal: life.journal, files, bytes });
    } catch (thrown) {
      if (signal.aborted) return;
      const { code, message: reason } = WireError.from(thrown);
      logger.warn("quarantine-not-released", { journal: life.journal, code, reason });
    }
  }

  /** Q1 */
  async #isAmong(
    listed: readonly RemoteEntry[],
    { begin, end, sum }: AsideFragment,
    signal: AbortSignal,
  ): Promise<boolean> {
    const twins = listed.filter((entry) => entry.begin === begin && entry.end === end);
    if (twins.length === 0) return false;
    const turn = this.#last.then(async () => {
      signal.throwIfAborted();
      const own = await sum();
      for (const { fragment } of twins) {
        if (fragment.sum === own && (await isIntact(this.#ports, fragment, signal))) return true;
      }
      return false;
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

/** A name that was taken got a number. */
function beginOf(name: string): number | undefined {
  return parseFragmentFile(name.replace(/\.\d+$/, ""));
}

async function sumOfFile(disk: Disk, path: string): Promise<string> {
  const sum = new RunningSha1();
  for (let at = 0; ;) {
    const bytes = await disk.read(path, at, CHUNK_BYTES);
    if (bytes.length === 0) return sum.hex();
    sum.update(bytes);
    at += bytes.length;
  }
}
