// The person's editor, on the terminal of this process.
import { spawn } from "node:child_process";
import { WireError } from "@millrace/base";

/** Opens `file` in $GAZ_EDITOR, $EDITOR or vi, and waits until it is left. @throws {WireError} when it fails */
export function openEditor(file: string, signal: AbortSignal): Promise<void> {
  const editor = process.env["GAZ_EDITOR"] || process.env["EDITOR"] || "vi";
  return new Promise((resolve, reject) => {
    // By the shell: people have arguments in these variables.
    const child = spawn("/bin/sh", ["-c", `${editor} "$1"`, "sh", file], { stdio: "inherit", signal });
    child.once("error", reject);
    child.once("close", (code, killedBy) => {
      if (code === 0) return resolve();
      const how = killedBy === null ? `with status ${code}` : `by ${killedBy}`;
      reject(new WireError("UNAVAILABLE", `the editor ${editor} ended ${how}; edits are in ${file}`));
    });
  });
}
