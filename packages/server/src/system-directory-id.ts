// The id of a data directory: lists of holders name it (D10), so that a broker which comes back without its disk is
// taken for another one. Made once, and again only for bytes that are not what they were.
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hex, WireError, type Random } from "@millrace/base";
import { DIRECTORY_ID_FILE } from "./data-layout.ts";
import { namingFile } from "./system-file-errors.ts";

/**
 * Whoever calls owns the directory. @returns 32 hex digits
 * @throws {WireError} CORRUPT when the file is not what was written
 */
export function directoryId(path: string, random: Random): string {
  const file = join(path, DIRECTORY_ID_FILE);
  const text = namingFile(file, () => read(file));
  if (text === undefined) return renewDirectoryId(path, random);
  const id = text.trimEnd();
  if (!/^[0-9a-f]{32}$/.test(id)) {
    throw new WireError("CORRUPT", `${file} is no id of a data directory (32 hex digits)`, {
      facts: { file },
    });
  }
  return id;
}

/** Gives the directory another id: its bytes are not what they were (docs/adr/0013). */
export function renewDirectoryId(path: string, random: Random): string {
  const file = join(path, DIRECTORY_ID_FILE);
  const made = hex(random.fill(new Uint8Array(16)));
  namingFile(file, () => write(path, file, made));
  return made;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function write(path: string, file: string, id: string): void {
  const temporary = `${file}.new`;
  writeFileSync(temporary, `${id}\n`, { flush: true, mode: 0o640 });
  renameSync(temporary, file);
  const directory = openSync(path, "r");
  fsyncSync(directory);
  closeSync(directory);
}
