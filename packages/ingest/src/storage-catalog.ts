// What the back of the pipeline asks of the definitions, as a port.
import type { Column, EffectiveSink, SinkKey } from "./definitions.ts";
import type { TargetRef } from "./target-ref.ts";
import type { TargetSettings } from "./target-settings.ts";

export interface SinkCatalog {
  /** The newest version of a sink, also of one that is disabled or deleted; undefined when it was never there. */
  sink(key: SinkKey): EffectiveSink | undefined;
  /** Columns of any version that ever was. @throws {WireError} NOT_FOUND */
  columns(key: SinkKey, version: number, signal: AbortSignal): Promise<readonly Column[]>;
  /** How a sink logs in at a target that it has or has had. @throws {WireError} NOT_FOUND */
  settings(key: SinkKey, target: TargetRef, signal: AbortSignal): Promise<TargetSettings>;
  /** Calls `listener` with the path of each sink that changes, by itself or with its source. @returns what ends it */
  observe(listener: (sinkPath: string) => void): () => void;
}
