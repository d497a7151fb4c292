// Definitions of sinks as a test says they are.
import { WireError } from "@millrace/base";
import {
  DEFAULT_CONDITIONS,
  DEFAULT_DEAD_LETTERS,
  sinkPath,
  type Column,
  type EffectiveSink,
  type SinkKey,
} from "./definitions.ts";
import type { SinkCatalog } from "./storage-catalog.ts";
import { isSameTarget, targetOf, type TargetRef } from "./target-ref.ts";
import { settingsOf, type TargetSettings } from "./target-settings.ts";

export class ModelCatalog implements SinkCatalog {
  readonly #versions = new Map<string, EffectiveSink[]>();
  readonly #listeners = new Set<(sinkPath: string) => void>();

  /** Adds a version of a sink. */
  put(definition: EffectiveSink): void {
    const path = sinkPath(definition);
    const versions = this.#versions.get(path) ?? [];
    const number = versions.length + 1;
    this.#versions.set(path, [...versions, { ...definition, version: { ...definition.version, number } }]);
    for (const listener of this.#listeners) listener(path);
  }

  sink(key: SinkKey): EffectiveSink | undefined {
    return this.#versions.get(sinkPath(key))?.at(-1);
  }

  /** Columns of a version that is there. */
  versionColumns(key: SinkKey, version: number): readonly Column[] {
    const definition = this.#versions.get(sinkPath(key))?.[version - 1];
    if (definition === undefined)
      throw new WireError("NOT_FOUND", `version ${version} of ${sinkPath(key)} not found`);
    return definition.table.mapping.columns;
  }

  async columns(key: SinkKey, version: number): Promise<readonly Column[]> {
    return this.versionColumns(key, version);
  }

  async settings(key: SinkKey, target: TargetRef): Promise<TargetSettings> {
    const versions = this.#versions.get(sinkPath(key)) ?? [];
    const found = versions.findLast((version) => isSameTarget(targetOf(version), target));
    if (found === undefined) throw new WireError("NOT_FOUND", `${sinkPath(key)} never had this target`);
    return settingsOf(found.table);
  }

  observe(listener: (sinkPath: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** A sink definition with every field defaulted. */
export function modelSink(fields: Partial<EffectiveSink> = {}): EffectiveSink {
  const by = { type: "system" } as const;
  const at = "2026-01-01T00:00:00.000Z";
  return {
    projectId: 1,
    branchId: 1,
    sourceId: "source",
    sinkId: "sink",
    type: "table",
    name: "Sink",
    description: "",
    table: {
      type: "duckdb",
      tableId: "main.sink",
      mapping: {
        columns: [
          { type: "uuid", name: "id" },
          { type: "body", name: "body" },
        ],
      },
    },
    waitForAppend: true,
    quotaBytes: 0,
    conditions: DEFAULT_CONDITIONS,
    deadLetters: DEFAULT_DEAD_LETTERS,
    partitions: 1,
    keyedPartitions: 1,
    version: { number: 1, hash: "0".repeat(16), description: "", at, by },
    created: { at, by },
    ...fields,
  };
}
