// Where `journals read` writes to: stdout or a file.
import { open } from "node:fs/promises";
import type { CliIo } from "./cli-io.ts";

export interface ReadOutput {
  /** Resolves when it can take more. */
  write(bytes: Uint8Array): Promise<void>;
  /** What was written is safe when it resolves, if it is a file. */
  close(): Promise<void>;
}

/** @param path `-` is stdout; a file is emptied first */
export async function openReadOutput(path: string, io: CliIo): Promise<ReadOutput> {
  if (path === "-") return { write: (bytes) => io.outBytes(bytes), close: () => Promise.resolve() };
  const file = await open(path, "w");
  return {
    write: async (bytes) => {
      await file.writeFile(bytes);
    },
    close: async () => {
      try {
        await file.sync();
      } finally {
        await file.close();
      }
    },
  };
}
