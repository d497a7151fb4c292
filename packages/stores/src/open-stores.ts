// Opens stores by URL. Each kind of store registers its scheme; one instance per URL.
import { WireError } from "@millrace/base";
import { FileStore, type FileStorePorts } from "./file-store.ts";
import type { ObjectStore, ObjectStores } from "./object-store.ts";
import { parseStoreUrl } from "./store-url.ts";

/** Instances kept; more URLs than this in the specs of one broker would be a mistake or an attack. */
const STORE_COUNT_MAX = 10_000;

export type OpenStore = (url: string) => ObjectStore;

/** A registry with the given opener for each scheme (lower case, without ':'). */
export function objectStores(openers: Readonly<Record<string, OpenStore>>): ObjectStores {
  const opened = new Map<string, ObjectStore>();
  const open = (url: string): ObjectStore => {
    const known = opened.get(url);
    if (known !== undefined) return known;
    const { scheme } = parseStoreUrl(url);
    const opener = Object.hasOwn(openers, scheme) ? openers[scheme] : undefined;
    if (opener === undefined) {
      const supported = Object.keys(openers).sort().join(", ");
      throw new WireError("INVALID_ARGUMENT", `invalid scheme (${scheme}); supported: ${supported}`);
    }
    if (opened.size >= STORE_COUNT_MAX) {
      throw new WireError("OVERLOADED", `${opened.size} stores are open (at most ${STORE_COUNT_MAX})`);
    }
    const store = opener(url);
    opened.set(url, store);
    return store;
  };
  return { open };
}

/** The stores of this platform: `file` under `ports.root`. */
export function openStores(ports: FileStorePorts): ObjectStores {
  return objectStores({ file: (url) => new FileStore(url, ports) });
}
