// What went wrong with a file of the data directory, by the file's name: node:fs names it in some messages only.
import { WireError } from "@millrace/base";

/** Performs `work` on the file `path`. @throws {WireError} naming it */
export function namingFile<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw fileError(path, error);
  }
}

/** DISK_FULL or UNAVAILABLE, naming `path`; a coded error as it is. */
export function fileError(path: string, error: unknown): WireError {
  if (error instanceof WireError) return error;
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (code === "ENOSPC" || code === "EDQUOT")
    return new WireError("DISK_FULL", `no space to write ${path}`, { cause: error });
  const message = error instanceof Error ? error.message : String(error);
  return new WireError("UNAVAILABLE", `${path}: ${message}`, { cause: error });
}
