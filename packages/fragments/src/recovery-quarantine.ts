// Quarantine (D4): what lies beyond checkpoint and log, or belongs to nobody, is kept aside and never served. Only what
// a store has is removed from it (quarantine-release.ts). Everything is durable there before it disappears from its old
// place.
import { hex16 } from "@millrace/base";
import type { Disk } from "@millrace/wal";
import type { RecoveryAction } from "./recovery-plan.ts";
import { QUARANTINE_DIR, SPOOLS_DIR } from "./spool-paths.ts";

const CHUNK_BYTES = 1024 * 1024;

export async function quarantine(
  disk: Disk,
  action: Extract<RecoveryAction, { kind: "cut" | "move" }>,
): Promise<void> {
  const dir =
    action.dir === SPOOLS_DIR
      ? QUARANTINE_DIR
      : `${QUARANTINE_DIR}/${action.dir.slice(SPOOLS_DIR.length + 1)}`;
  await disk.run("bulk", [{ kind: "make-dir", path: dir }]);
  const from = `${action.dir}/${action.name}`;
  if (action.kind === "move") {
    const to = `${dir}/${await freeName(disk, dir, action.name)}`;
    // Of a life that goes as a whole the files were synced before (spool-chores.ts).
    const isFile = action.dir !== SPOOLS_DIR;
    await disk.run("bulk", [
      ...(isFile ? [{ kind: "sync", path: from } as const] : []),
      { kind: "rename", from, to },
      { kind: "sync-dir", path: dir },
      { kind: "sync-dir", path: action.dir },
    ]);
    return;
  }
  await copyAside(disk, dir, action);
  await disk.run("bulk", [{ kind: "truncate", path: from, bytes: action.from }]);
}

/** Copies what stands in a spool file from a place on to quarantine; the file stays as it is. */
export async function copyFrom(disk: Disk, path: string, from: number): Promise<void> {
  const { dir, name } = placeOf(path);
  const bytes = (await disk.list(dir)).find((entry) => entry.name === name)?.bytes ?? 0;
  if (bytes <= from) return;
  const aside = `${QUARANTINE_DIR}/${dir.slice(SPOOLS_DIR.length + 1)}`;
  await disk.run("bulk", [{ kind: "make-dir", path: aside }]);
  await copyAside(disk, aside, { dir, name, from, bytes: bytes - from });
}

/** Moves a spool file to quarantine, if it is there. */
export async function moveAside(disk: Disk, path: string): Promise<void> {
  const { dir, name } = placeOf(path);
  const isThere = (await disk.list(dir)).some((entry) => entry.name === name);
  if (isThere) await quarantine(disk, { kind: "move", dir, name });
}

function placeOf(path: string): { dir: string; name: string } {
  const slash = path.lastIndexOf("/");
  return { dir: path.slice(0, slash), name: path.slice(slash + 1) };
}

async function copyAside(
  disk: Disk,
  dir: string,
  tail: { readonly dir: string; readonly name: string; readonly from: number; readonly bytes: number },
): Promise<void> {
  const name = `${tail.name}+${hex16(tail.from)}`;
  const copy = `${dir}/${name}.unfinished`;
  try {
    await copyTail(disk, `${tail.dir}/${tail.name}`, copy, tail);
  } catch (error) {
    // It is tried again: copies that stay behind would eat up the space that is missing.
    await disk.run("bulk", [{ kind: "remove", path: copy }]).catch(() => undefined);
    throw error;
  }
  const to = `${dir}/${await freeName(disk, dir, name)}`;
  await disk.run("bulk", [
    { kind: "rename", from: copy, to },
    { kind: "sync-dir", path: dir },
  ]);
}

async function copyTail(
  disk: Disk,
  from: string,
  to: string,
  action: { readonly from: number; readonly bytes: number },
): Promise<void> {
  await disk.run("bulk", [{ kind: "remove", path: to }]);
  for (let done = 0; done < action.bytes;) {
    const bytes = await disk.read(from, action.from + done, Math.min(CHUNK_BYTES, action.bytes - done));
    if (bytes.length === 0) break;
    await disk.run("bulk", [{ kind: "write", path: to, position: done, bytes }]);
    done += bytes.length;
  }
  await disk.run("bulk", [{ kind: "sync", path: to }]);
}

/** Nothing in quarantine is overwritten: a name that is taken gets a number. */
async function freeName(disk: Disk, dir: string, name: string): Promise<string> {
  const taken = new Set((await disk.list(dir)).map((entry) => entry.name));
  if (!taken.has(name)) return name;
  for (let n = 1; ; n++) if (!taken.has(`${name}.${n}`)) return `${name}.${n}`;
}
