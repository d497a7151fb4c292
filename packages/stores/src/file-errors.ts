// What the file system's error codes mean for an ObjectStore.
import { InvariantError, WireError, type Code } from "@millrace/base";

const MEANING: Readonly<Record<string, Code>> = {
  ENOENT: "NOT_FOUND",
  ENOTDIR: "NOT_FOUND",
  EISDIR: "NOT_FOUND",
  EACCES: "FORBIDDEN",
  EPERM: "FORBIDDEN",
  EROFS: "FORBIDDEN",
  ENOSPC: "DISK_FULL",
  EDQUOT: "DISK_FULL",
  ENAMETOOLONG: "INVALID_ARGUMENT",
  ELOOP: "INVALID_ARGUMENT",
};

/** Code of a thrown value of node:fs, or undefined when it is something else. */
export function fileErrorCode(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string"
    ? thrown.code
    : undefined;
}

/** The WireError for what `operation` on `path` threw. WireErrors and an abort's reason pass through. */
export function fileError(thrown: unknown, operation: string, path: string): unknown {
  if (thrown instanceof WireError || thrown instanceof InvariantError) return thrown;
  const errno = fileErrorCode(thrown);
  if (errno === undefined || !/^E[A-Z0-9]+$/.test(errno)) return thrown;
  const code = MEANING[errno] ?? "UNAVAILABLE";
  return new WireError(code, `file store ${operation} of ${path} failed: ${errno}`, {
    facts: { operation, path, errno },
    cause: thrown,
  });
}
