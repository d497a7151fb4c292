// What is loaded is what was staged: every object's bytes are compared with its CRC before the engine sees them, since
// another content under the name would lose or double rows, and a malformed one may take the engine with it.
import { open, type FileHandle } from "node:fs/promises";
import { crc32c } from "@node-rs/crc32";
import { WireError } from "@millrace/base";
import type { StagedObject } from "@millrace/ingest";

/** Objects that are read at the same time, each through a buffer of its own. */
const CHECKS_AT_ONCE = 4;
/** Memory that was used before costs no page faults: half the time of reading objects whole. */
const BUFFER_BYTES = 1024 * 1024;

interface Sum {
  readonly bytes: number;
  readonly crc32c: number;
}

export class StagedCheck {
  readonly #resolvePath: (path: string) => string;
  readonly #buffers: Buffer[] = [];

  /** @param resolvePath absolute file of a staged object's path */
  constructor(resolvePath: (path: string) => string) {
    this.#resolvePath = resolvePath;
  }

  /**
   * One call at a time.
   * @throws {WireError} NOT_FOUND, CORRUPT: the object can be staged again from the journal
   */
  async check(journal: string, objects: readonly StagedObject[]): Promise<void> {
    for (let at = 0; at < objects.length; at += CHECKS_AT_ONCE) {
      const some = objects.slice(at, at + CHECKS_AT_ONCE);
      const checks = some.map((object, i) => this.#check(journal, object, this.#buffer(i)));
      // All of them, also behind one that failed: the next call uses the same buffers.
      const failed = (await Promise.allSettled(checks)).find(({ status }) => status === "rejected");
      if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
    }
  }

  async #check(journal: string, object: StagedObject, buffer: Buffer): Promise<void> {
    const found = await this.#sum(journal, object, buffer);
    if (found.bytes === object.bytes && found.crc32c === object.crc32c) return;
    const facts = { journal, path: object.path, bytes: found.bytes, expectedBytes: object.bytes };
    throw new WireError("CORRUPT", `staged object ${object.path} is not what was staged`, { facts });
  }

  async #sum(journal: string, { path }: StagedObject, buffer: Buffer): Promise<Sum> {
    const file = await open(this.#resolvePath(path)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      throw new WireError("NOT_FOUND", `staged object ${path} is missing`, { facts: { journal } });
    });
    try {
      return await sumOf(file, buffer);
    } finally {
      await file.close();
    }
  }

  #buffer(i: number): Buffer {
    return (this.#buffers[i] ??= Buffer.allocUnsafeSlow(BUFFER_BYTES));
  }
}

async function sumOf(file: FileHandle, buffer: Buffer): Promise<Sum> {
  let bytes = 0;
  let sum = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, bytes);
    if (bytesRead === 0) return { bytes, crc32c: sum };
    sum = crc32c(buffer.subarray(0, bytesRead), sum);
    bytes += bytesRead;
  }
}
