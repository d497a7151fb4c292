// Recovery: checkpoint, then log over the spools (D1-D4), in two halves. The first reads and checks everything and
// changes nothing. Then the log is opened, which makes its last group durable: until then that group may be in the
// kernel's memory only, and nothing may be removed because of what it says. The second half writes, cuts and moves;
// it leads to the same state when it is interrupted and begun again.
import { assert, concatBytes, WireError, type Logger } from "@millrace/base";
import { crc32c, readCheckpoint, scanLog, type Disk, type DiskOp, type LogScan } from "@millrace/wal";
import { decodeCheckpoint } from "./checkpoint-codec.ts";
import type { DurableSpool } from "./durable-spool.ts";
import { LogReplay, type CheckedSpan, type ReplayedJournal } from "./log-replay.ts";
import { planRecovery, type RecoveryAction, type SpoolFiles } from "./recovery-plan.ts";
import { quarantine } from "./recovery-quarantine.ts";
import { CHECKPOINT_NAME } from "./spool-checkpoint.ts";
import type { JournalImage } from "./spool-image.ts";
import type { SpoolOptions } from "./spool-limits.ts";
import { fragmentFile, SPOOLS_DIR } from "./spool-paths.ts";
import { corrupt, sumFile } from "./spool-reads.ts";
import { FragmentSums } from "./spool-sums.ts";

const CHUNK_BYTES = 1024 * 1024;
/** Directories listed at once. */
const LISTS_MAX = 32;

export interface RecoveredJournal {
  readonly image: JournalImage;
  /** Begins of fragments whose files recovery wrote to. */
  readonly written: ReadonlySet<number>;
  readonly checked: CheckedSpan;
  /** The log says more of it than the checkpoint: its directory may have entries that no sync covered. */
  readonly touched: boolean;
}

export interface Recovered {
  readonly journals: readonly RecoveredJournal[];
  readonly scan: LogScan;
  /** Generation of the checkpoint; 0 when there is none. */
  readonly generation: number;
  /** First sequence that the checkpoint does not cover. */
  readonly from: number;
  readonly replay: LogReplay;
  readonly actions: readonly RecoveryAction[];
}

/** The first half. @throws {WireError} CORRUPT naming file and offset */
export async function readRecovery(
  disk: Disk,
  options: SpoolOptions,
  signal: AbortSignal,
): Promise<Recovered> {
  const { dir } = options.log;
  const checkpoint = await readCheckpoint(disk, dir, CHECKPOINT_NAME);
  const from = checkpoint?.position ?? 1;
  const nothing = { mark: undefined, journals: [] };
  const content =
    checkpoint === undefined ? nothing : decodeCheckpoint(checkpoint.payloadVersion, checkpoint.payload);
  const replay = new LogReplay(content, from);
  const scan = await scanLog(disk, dir, from, (record, place) => replay.apply(record, place), signal).catch(
    (error: unknown) => {
      throw checkpoint?.passedOver === undefined ? error : causedBy(checkpoint.passedOver, error);
    },
  );
  const files = await listFiles(disk);
  if (checkpoint === undefined && scan.segments.length === 0) refuseWithoutLog(dir, files);
  const actions = planRecovery(replay, files);
  for (const journal of replay.journals.values()) await verifyDirect(disk, journal, signal);
  const journals = [...replay.journals.values()].map(recovered);
  return { journals, scan, generation: checkpoint?.generation ?? 0, from, replay, actions };
}

/** A spool file is made when the log is there, which alone knows what of it counts (D1). @throws {WireError} CORRUPT */
function refuseWithoutLog(log: string, files: SpoolFiles): void {
  for (const [dir, entries] of files.dirs) {
    const file = entries.find(({ kind, bytes }) => kind === "file" && bytes > 0);
    if (file === undefined) continue;
    const message = `${log}, offset 0: neither segments nor a checkpoint are here, but ${dir}/${file.name} has bytes`;
    throw new WireError("CORRUPT", message, { facts: { path: log, offset: 0 } });
  }
}

/** The log is recycled behind the newest checkpoint: when that is not readable, the one before it lacks groups. */
function causedBy(path: string, thrown: unknown): WireError {
  const error = WireError.from(thrown);
  if (error.code !== "CORRUPT") return error;
  const message = `${path}, offset 0: this checkpoint is not readable, and for the other one: ${error.message}`;
  return new WireError("CORRUPT", message, { facts: { path, offset: 0 }, cause: error });
}

/** The second half; the log is open. @throws {DiskError} */
export async function applyRecovery(
  ports: { disk: Disk; logger: Logger },
  { replay, actions, from, scan, journals }: Recovered,
  signal: AbortSignal,
): Promise<void> {
  const { disk, logger } = ports;
  await disk.run("bulk", [{ kind: "make-dir", path: SPOOLS_DIR }]);
  await writeLogged(disk, scan.dir, from, replay, signal);
  for (const action of actions) await perform(disk, action, logger);
  const logged = journals.filter(({ touched }) => touched).length;
  const counts = { journals: journals.length, logged, actions: actions.length };
  logger.info("spools-recovered", { ...counts, from, next: scan.nextSequence });
}

/** Reads the fragments of a recovered spool whose SHA-1 is not known. @throws {WireError} CORRUPT */
export async function sumRecovered(disk: Disk, spool: DurableSpool): Promise<void> {
  for (const { fragment, checked } of spool.unsummed()) {
    const path = spool.pathOf(fragment);
    const sums = new FragmentSums();
    if (checked !== undefined) {
      await sumFile(disk, path, sums, checked.end - fragment.begin, () => undefined);
      if (sums.hex() !== checked.sum) {
        const what = `the first ${sums.bytes} bytes are not those that the checkpoint has the sum of`;
        throw corrupt(path, 0, what);
      }
    }
    await sumFile(disk, path, sums, fragment.end - fragment.begin, () => undefined);
    if (!fragment.isSummed) fragment.adopt(sums);
  }
}

async function listFiles(disk: Disk): Promise<SpoolFiles> {
  const top = await disk.list(SPOOLS_DIR);
  const names = top.filter(({ kind }) => kind === "dir").map(({ name }) => `${SPOOLS_DIR}/${name}`);
  const dirs: SpoolFiles["dirs"] = new Map();
  for (let at = 0; at < names.length; at += LISTS_MAX) {
    const batch = names.slice(at, at + LISTS_MAX);
    const lists = await Promise.all(batch.map((name) => disk.list(name)));
    for (const [i, name] of batch.entries())
      (dirs as Map<string, (typeof lists)[number]>).set(name, lists[i]!);
  }
  return { top, dirs };
}

/** D3: the bytes that the log only has the sum of. */
async function verifyDirect(disk: Disk, journal: ReplayedJournal, signal: AbortSignal): Promise<void> {
  for (const span of journal.direct) {
    const path = `${journal.dir}/${fragmentFile(span.fragment)}`;
    let crc = 0;
    for (let at = span.begin; at < span.end;) {
      signal.throwIfAborted();
      const bytes = await disk.read(path, at - span.fragment, Math.min(CHUNK_BYTES, span.end - at));
      if (bytes.length === 0) throw corrupt(path, at - span.fragment, "the file ends inside a direct append");
      crc = crc32c(bytes, crc);
      at += bytes.length;
    }
    if (crc !== span.crc) {
      const record = `${span.place.path}, offset ${span.place.offset}`;
      throw corrupt(
        path,
        span.begin - span.fragment,
        `${span.end - span.begin} bytes lack the sum that ${record} has`,
      );
    }
  }
}

/**
 * Writes the bytes that the log has into the spool files; the next checkpoint syncs them.
 * @throws {InvariantError} when this reading of the log does not find all that the first one found
 */
async function writeLogged(
  disk: Disk,
  dir: string,
  from: number,
  replay: LogReplay,
  signal: AbortSignal,
): Promise<void> {
  const touched = [...replay.journals.values()].filter(({ logged }) => logged.length > 0);
  if (touched.length === 0) return;
  await disk.run(
    "bulk",
    touched.map((journal): DiskOp => ({ kind: "make-dir", path: journal.dir })),
  );
  const waiting = new Map<string, { position: number; parts: Uint8Array[]; end: number }[]>();
  let found = 0;
  const collect = (record: Uint8Array, place: { sequence: number; path: string; offset: number }): void => {
    const placed = replay.fragmentOf(record, place);
    if (placed === undefined) return;
    const { journal, fragment, data } = placed;
    found += data.bytes.length;
    const path = `${journal.dir}/${fragmentFile(fragment)}`;
    const runs = waiting.get(path) ?? [];
    if (runs.length === 0) waiting.set(path, runs);
    const position = data.begin - fragment;
    const last = runs.at(-1);
    if (last === undefined || last.end !== position)
      runs.push({ position, parts: [data.bytes], end: position + data.bytes.length });
    else {
      last.parts.push(data.bytes);
      last.end += data.bytes.length;
    }
  };
  await scanLog(disk, dir, from, collect, signal, async () => {
    for (const [path, runs] of waiting) {
      for (const { position, parts } of runs) {
        await disk.run("bulk", [{ kind: "write", path, position, bytes: concatBytes(parts) }]);
      }
    }
    waiting.clear();
  });
  const spans = touched.flatMap(({ logged }) => logged);
  const wanted = spans.reduce((sum, { begin, end }) => sum + end - begin, 0);
  assert(found === wanted, "both readings of the log find the same bytes", { found, wanted });
}

async function perform(disk: Disk, action: RecoveryAction, logger: Logger): Promise<void> {
  switch (action.kind) {
    case "cut":
    case "move":
      logger.warn("spool-quarantined", { ...action });
      return quarantine(disk, action);
    case "remove":
      return disk.run("bulk", [{ kind: "remove", path: `${action.dir}/${action.name}` }]);
    case "remove-dir": {
      const files = action.names.map((name): DiskOp => ({ kind: "remove", path: `${action.dir}/${name}` }));
      return disk.run("bulk", [...files, { kind: "remove", path: action.dir }]);
    }
  }
}

function recovered(journal: ReplayedJournal): RecoveredJournal {
  const { createRevision, epoch, begin, end, firstAppendMs, registers, fragments, checked } = journal;
  assert(end >= begin, "a fragment ends at or after its begin", { begin, end });
  const still = checked.begin === begin;
  return {
    image: {
      journal: journal.journal,
      createRevision,
      epoch,
      begin,
      end,
      sum: still ? checked.sum : "",
      sumEnd: still ? checked.end : begin,
      firstAppendMs,
      marks: registers.all,
      fragments,
    },
    written: new Set(journal.logged.map(({ fragment }) => fragment)),
    checked,
    touched: journal.logged.length + journal.direct.length + journal.released.size > 0,
  };
}
