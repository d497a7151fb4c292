// Which components work together as they are asked for. Without an etcd they need each other in one process; with one
// they find each other there, and what they share by their disks has to be shared.
import { WireError } from "@millrace/base";
import type { ComponentName } from "./components.ts";
import { FRAGMENT_STORE, STAGING_STORE } from "./journal-templates.ts";
import type { Config } from "./settings.ts";

const INGEST: readonly ComponentName[] = [
  "storage-reader",
  "storage-coordinator",
  "http-source",
  "api",
  "console",
];
/** They put staged objects, remove them, and load them. */
export const STAGING_USERS: readonly ComponentName[] = ["storage-reader", "storage-coordinator", "warehouse"];

type Rule = (components: ReadonlySet<ComponentName>, config: Config) => string | undefined;

/** @throws {WireError} INVALID_ARGUMENT that says what to add */
export function checkComponents(components: ReadonlySet<ComponentName>, config: Config): void {
  const isShared = config["etcd.address"].length > 0;
  for (const rule of [consoleNeedsApi, fileOnlyNeedsRoot, ...(isShared ? APART : ALONE)]) {
    const problem = rule(components, config);
    if (problem !== undefined) throw new WireError("INVALID_ARGUMENT", problem);
  }
}

function consoleNeedsApi(components: ReadonlySet<ComponentName>): string | undefined {
  if (!components.has("console") || components.has("api")) return undefined;
  return "component console needs api in the same process: millrace serve api console …";
}

function fileOnlyNeedsRoot(_: ReadonlySet<ComponentName>, config: Config): string | undefined {
  if (!config["broker.file-only"] || config["broker.file-root"] !== "") return undefined;
  return "broker.file-only needs broker.file-root";
}

const ALONE: readonly Rule[] = [
  (components) => {
    const first = INGEST.find((component) => components.has(component));
    if (first === undefined) return undefined;
    const missing = (["broker", "warehouse"] as const).find((component) => !components.has(component));
    if (missing === undefined) return undefined;
    return (
      `component ${first} needs ${missing}: in the same process (millrace serve ${missing} ${first} …), or in ` +
      "another one on the same etcd (--etcd.address)"
    );
  },
  (_, config) => {
    if (config["staging.store"] === STAGING_STORE) return undefined;
    return "staging.store is what the processes of an etcd share: give --etcd.address too, or leave it out";
  },
];

const APART: readonly Rule[] = [
  (components) => {
    if (!components.has("etcd")) return undefined;
    return "component etcd serves a store of its own process, and --etcd.address names another: leave one out";
  },
  (components, config) => {
    if (!components.has("api") || components.has("http-source")) return undefined;
    if (config["http-source.public-url"] !== "") return undefined;
    return (
      "component api without http-source does not know the URLs of sources: give --http-source.public-url, the base " +
      "URL at which records reach the http-source processes"
    );
  },
  (components, config) => {
    const [first, ...others] = STAGING_USERS.filter((component) => components.has(component));
    if (first === undefined || others.length === STAGING_USERS.length - 1) return undefined;
    if (!isOwnDirectory(config, config["staging.store"])) return undefined;
    const missing = STAGING_USERS.filter((component) => !components.has(component)).join(" and ");
    return (
      `component ${first} stages records with ${missing} of other processes, and ${config["staging.store"]} is below ` +
      "this process's own --data: give a bucket (--staging.store s3://…), or a directory that they share " +
      "(--broker.file-root)"
    );
  },
  (components, config) => {
    if (!components.has("storage-coordinator") || components.has("broker")) return undefined;
    if (!isOwnDirectory(config, config["journal.store"])) return undefined;
    return (
      `component storage-coordinator removes what is loaded from ${config["journal.store"]}, which is below this ` +
      "process's own --data: give the store of the brokers' fragments (--journal.store, --broker.file-root)"
    );
  },
];

/** Whether nobody but this process can have `store`. */
function isOwnDirectory(config: Config, store: string): boolean {
  const isFile = store.startsWith(new URL(FRAGMENT_STORE).protocol) || config["broker.file-only"];
  return isFile && config["broker.file-root"] === "";
}
