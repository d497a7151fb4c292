import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { crc32c } from "@node-rs/crc32";
import type { StagedObject } from "@millrace/ingest";
import { StagedCheck } from "./staged-check.ts";

const scratch = mkdtempSync(join(tmpdir(), "millrace-check-"));
after(() => rmSync(scratch, { recursive: true }));
const staged = new StagedCheck((path) => join(scratch, path));

/** Writes an object of `size` bytes, each other than its neighbour. */
function write(path: string, size: number): StagedObject & { readonly content: Buffer } {
  const content = Buffer.alloc(size, `content of ${path} `);
  writeFileSync(join(scratch, path), content);
  return { path, columns: [], sinkVersion: 1, rows: 1, bytes: size, crc32c: crc32c(content), content };
}

describe("staged objects larger and smaller than a read, several at once", () => {
  const objects = [0, 1, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1, 3 * 2 ** 20 + 7].map((size) =>
    write(`o${size}`, size),
  );

  test("as they were staged -> taken", () => staged.check("j", objects));

  for (const { content, ...object } of objects.filter(({ bytes }) => bytes > 0)) {
    test(`${object.bytes} bytes, the last one another -> CORRUPT`, async () => {
      const bytes = Buffer.from(content);
      bytes[bytes.length - 1]! ^= 1;
      writeFileSync(join(scratch, object.path), bytes);
      await assert.rejects(staged.check("j", objects), { code: "CORRUPT" });
      writeFileSync(join(scratch, object.path), content);
    });
  }

  test("one is missing while others are read -> refused, and what is checked next is sound", async () => {
    const large = [1, 2, 3].map((i) => write(`large${i}`, 24 * 2 ** 20));
    const others = [1, 2, 3, 4].map((i) => write(`other${i}`, 4 * 2 ** 20));
    for (let round = 0; round < 3; round++) {
      const one = { ...large[0]!, path: "missing" };
      await assert.rejects(staged.check("j", [one, ...large]), { code: "NOT_FOUND" });
      await staged.check("j", others);
    }
  });

  test("one byte more -> CORRUPT, naming both lengths", async () => {
    const object = write("longer", 10);
    writeFileSync(join(scratch, "longer"), Buffer.alloc(11));
    await assert.rejects(staged.check("j", [object]), {
      code: "CORRUPT",
      facts: { journal: "j", path: "longer", bytes: 11, expectedBytes: 10 },
    });
  });
});
