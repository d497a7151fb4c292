// `<data>/endpoints.json`: there only while the platform that wrote it is ready.
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Endpoints } from "./endpoints.ts";
import { namingFile } from "./system-file-errors.ts";

const FILE = "endpoints.json";

/** Removes what an earlier owner of the directory left. Call it only as its owner (D8). */
export function removeEndpoints(dataDirectory: string): void {
  rmSync(join(dataDirectory, FILE), { force: true });
}

/** Puts the file in place in one step: a reader sees all of it or none. @throws {WireError} naming the file */
export function writeEndpoints(dataDirectory: string, endpoints: Partial<Endpoints> & { pid: number }): void {
  const file = join(dataDirectory, FILE);
  const temporary = `${file}.new`;
  namingFile(file, () => {
    try {
      writeFileSync(temporary, `${JSON.stringify(endpoints)}\n`);
      renameSync(temporary, file);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  });
}
