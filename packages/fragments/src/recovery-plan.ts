// What recovery has to do with the files of the spools, given what log and checkpoint say (D4): a pure decision.
//
//   F1  A file of a journal that is there must have the bytes that the log does not have; else it is corruption.
//   F2  Bytes beyond the end of their fragment, files and directories that nobody knows: quarantine.
//   F3  Files of fragments released, and of journals removed, since the checkpoint: removed, as it was begun. Copies
//       that are not whole, too: others have what they are of.
import { WireError } from "@millrace/base";
import type { DiskEntry } from "@millrace/wal";
import type { LogReplay, ReplayedJournal } from "./log-replay.ts";
import { fragmentFile, isCopyFile, parseFragmentFile, SPOOLS_DIR } from "./spool-paths.ts";

export type RecoveryAction =
  /** Copies what lies at or beyond `from` to quarantine, then cuts the file there. */
  | {
      readonly kind: "cut";
      readonly dir: string;
      readonly name: string;
      readonly from: number;
      readonly bytes: number;
    }
  /** Moves a file or directory below `dir` to quarantine. */
  | { readonly kind: "move"; readonly dir: string; readonly name: string }
  | { readonly kind: "remove"; readonly dir: string; readonly name: string }
  | { readonly kind: "remove-dir"; readonly dir: string; readonly names: readonly string[] };

/** What stands below SPOOLS_DIR: its entries, and those of its directories by path. */
export interface SpoolFiles {
  readonly top: readonly DiskEntry[];
  readonly dirs: ReadonlyMap<string, readonly DiskEntry[]>;
}

/** @throws {WireError} CORRUPT, naming file and offset */
export function planRecovery(replay: LogReplay, files: SpoolFiles): RecoveryAction[] {
  const actions: RecoveryAction[] = [];
  for (const journal of replay.journals.values())
    planJournal(journal, files.dirs.get(journal.dir) ?? [], actions);
  for (const entry of files.top) {
    const dir = `${SPOOLS_DIR}/${entry.name}`;
    if (replay.journals.has(dir)) continue;
    const removed = replay.removed.get(dir);
    const entries = files.dirs.get(dir) ?? [];
    const plain = entries.every(({ kind }) => kind === "file");
    if (removed?.quarantine === false && entry.kind === "dir" && plain) {
      actions.push({ kind: "remove-dir", dir, names: entries.map(({ name }) => name) });
    } else {
      actions.push({ kind: "move", dir: SPOOLS_DIR, name: entry.name });
    }
  }
  return actions;
}

function planJournal(
  journal: ReplayedJournal,
  entries: readonly DiskEntry[],
  actions: RecoveryAction[],
): void {
  const present = new Map(entries.map((entry) => [entry.name, entry]));
  for (const fragment of fragmentsOf(journal)) {
    const name = fragmentFile(fragment.begin);
    const entry = present.get(name);
    present.delete(name);
    const bytes = entry?.kind === "file" ? entry.bytes : 0;
    const needed = bytesNeeded(journal, fragment);
    if (bytes < needed) {
      const path = `${journal.dir}/${name}`;
      throw new WireError(
        "CORRUPT",
        `${path}, offset ${bytes}: the file ends here, but ${needed} bytes were synced`,
        {
          facts: { path, offset: bytes },
        },
      );
    }
    const length = fragment.end - fragment.begin;
    if (bytes > length)
      actions.push({ kind: "cut", dir: journal.dir, name, from: length, bytes: bytes - length });
  }
  for (const { name } of present.values()) {
    const begin = parseFragmentFile(name);
    const released = begin !== undefined && journal.released.has(begin);
    const goes = released || isCopyFile(name);
    actions.push({ kind: goes ? "remove" : "move", dir: journal.dir, name });
  }
}

/** Fragments with bytes, ascending. */
export function fragmentsOf(journal: ReplayedJournal): { begin: number; end: number }[] {
  const { begin, end, fragments } = journal;
  return end > begin ? [...fragments, { begin, end }] : [...fragments];
}

/** How long a fragment's file must be without what the log will write into it. */
function bytesNeeded(journal: ReplayedJournal, fragment: { begin: number; end: number }): number {
  const spans = journal.logged.filter((span) => span.fragment === fragment.begin);
  let end = fragment.end;
  for (let span = spans.pop(); span !== undefined && span.end === end; span = spans.pop()) end = span.begin;
  return end - fragment.begin;
}
