// A negative control: local storage that gives out what the file has, as if nobody checked it.
import { WireError } from "@millrace/base";
import type { Spool, Spools } from "@millrace/fragments";
import type { Disk } from "@millrace/wal";
import { replaced } from "./replaced.ts";

export function trustingSpools(spools: Spools, disk: Disk): Spools {
  return replaced(spools, "claim", async (life, atLeast) => {
    const spool = await spools.claim(life, atLeast);
    return replaced(spool, "read", (offset, bytesMax, signal) =>
      spool.read(offset, bytesMax, signal).catch((thrown: unknown) => {
        const error = WireError.from(thrown);
        if (error.code !== "CORRUPT") throw error;
        return readUnchecked(spool, disk, String(error.facts["path"]), { offset, bytesMax });
      }),
    );
  });
}

function readUnchecked(
  spool: Spool,
  disk: Disk,
  path: string,
  { offset, bytesMax }: { readonly offset: number; readonly bytesMax: number },
): Promise<Uint8Array> {
  const { begin, end } = spool.fragments().find((one) => one.begin <= offset && offset < one.end)!;
  return disk.read(path, offset - begin, Math.min(bytesMax, end - offset));
}
