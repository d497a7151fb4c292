// What the parts of a process share.
import type { Clock, Logger, MetricsRegistry, Random, TokenBook } from "@millrace/base";
import type { SecretBox } from "@millrace/ingest";
import type { CoordinationStore } from "@millrace/metadata";
import type { ObjectStores } from "@millrace/stores";
import type { Disk } from "@millrace/wal";
import type { ListenSetting } from "./listen-policy.ts";
import type { Health } from "./health.ts";
import type { ListenAddress } from "./setting-kinds.ts";
import type { Config } from "./settings.ts";

export interface PlatformPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** A failure after which nothing may be acknowledged: ends the process. */
  readonly onFatal: (error: unknown) => void;
}

export interface PartContext extends PlatformPorts {
  readonly config: Config;
  readonly dataDirectory: string;
  readonly disk: Disk;
  readonly coordination: CoordinationStore;
  readonly stores: ObjectStores;
  /** Keys of encryption.key-file. */
  readonly fileKeys: readonly Uint8Array[];
  /** Who a token belongs to, at every door. */
  readonly tokens: TokenBook;
  readonly metrics: MetricsRegistry;
  /** Names what stands against being ready; asked by /readyz of every listener. */
  readonly health: Health;
}

/** Of the parts that know sources and sinks. */
export interface DefinedContext extends PartContext {
  /** What secrets at rest are sealed with. */
  readonly secrets: SecretBox;
}

/** Address of a listener, with `ports free` applied. */
export function listenAddress(config: Config, name: ListenSetting): ListenAddress {
  return config.ports === "free" ? { ...config[name], port: 0 } : config[name];
}
