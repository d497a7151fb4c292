// Bits that turn in spool files, between two lives and in the middle of one. Whoever reads the place is refused, by
// file and offset, until the file is mended, as an operator would from a copy; nobody is ever given other bytes.
import { WireError, type Random } from "@millrace/base";
import { filesOf, type SimulatedDisk } from "@millrace/wal/testkit";
import type { World } from "./world.ts";

const SPOOL_FILE = /^spools\/.*\.raw$/;

export class SpoolRot {
  readonly #world: World;
  /** All that rotted in the run: an answer may come after the file was mended. */
  readonly #paths = new Set<string>();
  #mend: (() => void) | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  /** Turns a bit in some spool file whose path contains `part`, unless one has rotted already. */
  strike(random: Random, part = ""): void {
    if (this.#mend !== undefined) return;
    const files = spoolFilesOf(this.#world.disk, part);
    const found = files[random.below(Math.max(1, files.length))];
    if (found === undefined) return;
    const { path, bytes } = found;
    const [offset, mask] = [random.below(bytes), 1 << random.below(8)];
    const file = this.#world.disk.file(path)!;
    file.rot(offset, mask);
    this.#paths.add(path);
    this.#mend = () => {
      // Recovery may have written over it, from the log.
      this.#world.note(file.isRotten ? "spool mended" : "spool rot written over", path);
      file.mend();
    };
    this.#world.note("spool rot", `${path} ${offset} ${mask}`);
  }

  mend(): void {
    this.#mend?.();
    this.#mend = undefined;
  }

  /** Whether `thrown` is how rot is told: CORRUPT, with the file that has it. */
  explains(thrown: unknown): boolean {
    const { code, facts, message } = WireError.from(thrown);
    const path = String(facts["path"]);
    if (code !== "CORRUPT" || !this.#paths.has(path)) return false;
    this.#world.note("rot refused", path);
    return message.startsWith(`${path}, offset ${String(facts["offset"])}: `);
  }
}

/** Spool files with bytes whose path contains `part`, with their lengths, ascending. */
export function spoolFilesOf(disk: SimulatedDisk, part: string): { path: string; bytes: number }[] {
  return filesOf(disk).filter(({ path, bytes }) => SPOOL_FILE.test(path) && path.includes(part) && bytes > 0);
}
