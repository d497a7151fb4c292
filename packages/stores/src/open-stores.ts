// Opens stores by URL. Each kind of store registers its scheme; one instance per URL that is in use. A kind's driver,
// and with it its vendor's SDK, is loaded at the store's first use: a process that has none of the kind does not pay
// for it.
import { WireError, type Metrics } from "@millrace/base";
import type { Environment } from "./azure-token.ts";
import { FileStore, type FileStorePorts } from "./file-store.ts";
import { MeteredStore, storeMetrics } from "./metered-store.ts";
import type { ObjectStore, ObjectStores, StoreUse } from "./object-store.ts";
import type { RemoteDriver } from "./remote-driver.ts";
import { RemoteStore } from "./remote-store.ts";
import { S3_ARGUMENTS } from "./s3-arguments.ts";
import { checkedKey, parseStoreUrl, storeArguments, type StoreUrl } from "./store-url.ts";

/** Instances kept; more URLs than this in the specs of one broker would be a mistake. */
const STORE_COUNT_MAX = 10_000;

export type OpenStore = (url: string, use: StoreUse) => ObjectStore;

export interface StorePorts extends FileStorePorts {
  /** Variables in which credentials and endpoints are looked for. Default: none are. */
  readonly env?: Environment;
  /** Every URL, whatever its scheme, bucket, prefix and arguments, is `file:///` under the root. */
  readonly fileOnly?: boolean;
  readonly metrics?: Metrics;
}

/** A registry with the given opener for each scheme (lower case, without ':'). */
export function objectStores(openers: Readonly<Record<string, OpenStore>>): ObjectStores {
  const opened = new Map<string, ObjectStore>();
  const open = (url: string, use: StoreUse = "kept"): ObjectStore => {
    const known = opened.get(url);
    if (known !== undefined) return known;
    const { scheme } = parseStoreUrl(url);
    const opener = Object.hasOwn(openers, scheme) ? openers[scheme] : undefined;
    if (opener === undefined) {
      const supported = Object.keys(openers).sort().join(", ");
      throw new WireError("INVALID_ARGUMENT", `invalid scheme (${scheme}); supported: ${supported}`);
    }
    if (use === "once") return opener(url, use);
    if (opened.size >= STORE_COUNT_MAX) {
      throw new WireError("OVERLOADED", `${opened.size} stores are open (at most ${STORE_COUNT_MAX})`);
    }
    const store = opener(url, use);
    opened.set(url, store);
    return store;
  };
  return { open };
}

/** The stores of this platform: `file` under `ports.root`, and those of the vendors. */
export function openStores(ports: StorePorts): ObjectStores {
  const { metrics } = ports;
  const measures = metrics === undefined ? undefined : storeMetrics(metrics);
  const openers: Record<string, OpenStore> = {};
  for (const [scheme, open] of Object.entries(openersOf(ports))) {
    const opener: OpenStore = ports.fileOnly === true ? () => new FileStore("file:///", ports) : open;
    openers[scheme] = (url, use) => {
      const store = opener(url, use);
      // Figures of a store stay as long as the process, so one that a caller merely names has none.
      return measures === undefined || use === "once"
        ? store
        : new MeteredStore(store, ports.clock, measures);
    };
  }
  return objectStores(openers);
}

function openersOf(ports: StorePorts): Readonly<Record<string, OpenStore>> {
  const { clock, random, env = {} } = ports;
  const vendor = { clock, random, env };
  return {
    file: (url) => new FileStore(url, ports),
    s3: (url) => {
      const parsed = parseStoreUrl(url);
      const args = storeArguments(parsed, S3_ARGUMENTS);
      return remote(ports, parsed, parsed.prefix, args, async () => {
        const { openS3Driver } = await import("./s3-driver.ts");
        return openS3Driver(parsed.host, args);
      });
    },
    gs: (url) => {
      const parsed = parseStoreUrl(url);
      return remote(ports, parsed, parsed.prefix, storeArguments(parsed, REWRITE), async () => {
        const { openGcsDriver } = await import("./gcs-driver.ts");
        return openGcsDriver(parsed.host, vendor);
      });
    },
    azure: (url) => {
      const parsed = parseStoreUrl(url);
      return remote(ports, parsed, parsed.prefix, storeArguments(parsed, REWRITE), async () => {
        const { openAzureDriver } = await import("./azure-driver.ts");
        return openAzureDriver(parsed.host, vendor);
      });
    },
    "azure-ad": (url) => {
      const parsed = parseStoreUrl(url);
      const [, account = "", container = "", ...below] = parsed.prefix.split("/");
      return remote(ports, parsed, `/${below.join("/")}`, storeArguments(parsed, REWRITE), async () => {
        const { openAzureAdDriver } = await import("./azure-driver.ts");
        return openAzureAdDriver(parsed.host, { account, container }, vendor);
      });
    },
  };
}

const REWRITE = ["Find", "Replace"] as const;

/** @param prefix begins and ends with '/' */
function remote(
  ports: StorePorts,
  { url }: StoreUrl,
  prefix: string,
  { Find: find = "", Replace: replace = "" }: { readonly Find?: string; readonly Replace?: string },
  load: () => Promise<RemoteDriver>,
): RemoteStore {
  if (prefix !== "/") checkedKey(prefix.slice(1, -1));
  return new RemoteStore({ url, prefix: prefix.slice(1), rewrite: { find, replace }, load }, ports);
}
