// What stands where in a data directory, beside the log, the spools and the quarantine of local storage (fragments) and
// the stores (journal-templates.ts): one place for those who write it and the doctor.

import { resolve } from "node:path";
import type { Config } from "./settings.ts";

/** Under which `file://` stores are. */
export function fileRoot(config: Pick<Config, "broker.file-root">, dataDirectory: string): string {
  return config["broker.file-root"] === "" ? dataDirectory : resolve(config["broker.file-root"]);
}

/** Says whose directory it is, and in which format. */
export const FORMAT_FILE = "format.json";
/** The directory's own id, for as long as its bytes are there. */
export const DIRECTORY_ID_FILE = "directory-id";
/** Which cluster's broker the directory is, when its coordination store is an etcd elsewhere. */
export const MEMBER_FILE = "member.json";
/** The coordination store of a process that has its own. */
export const COORDINATION_DIR = "coordination";
export const WAREHOUSE_DIR = "warehouse";
/** In WAREHOUSE_DIR: copies of what a load needs of a bucket, while it runs. */
export const WAREHOUSE_INCOMING = "incoming";
/** In WAREHOUSE_DIR. */
export const WAREHOUSE_FILE = "warehouse.duckdb";
