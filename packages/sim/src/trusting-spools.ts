// A negative control: local storage that gives out what the file has, as if nobody checked it.
import { WireError } from "@millrace/base";
import type { Spool, Spools } from "@millrace/fragments";
import type { Disk } from "@millrace/wal";

export function trustingSpools(spools: Spools, disk: Disk): Spools {
  return withMethod(spools, "claim", async (life, atLeast) => {
    const spool = await spools.claim(life, atLeast);
    return withMethod(spool, "read", (offset, bytesMax, signal) =>
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

/** `target` with another method in the place of one of its own. */
function withMethod<T extends object, K extends keyof T>(target: T, name: K, method: T[K]): T {
  return new Proxy(target, {
    get: (_, key) => {
      if (key === name) return method;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
