import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, systemRandom } from "@millrace/base";
import type { Target } from "@millrace/ingest";
import { FileStore } from "@millrace/stores";
import { targetConformance, type TargetRow, type TargetSubject } from "@millrace/targets/testkit";
import { DuckDBTarget } from "./duckdb-target.ts";
import { openEngine, type Engine } from "./engine.ts";
import { parseTableId, qualified } from "./table-id.ts";

/** One engine has the file, one target the engine: all importers load through it, and a restart begins both anew. */
class Warehouse {
  readonly scratch = mkdtempSync(join(tmpdir(), "millrace-duckdb-"));
  readonly staging: FileStore;
  fails: "before" | "after" | undefined;
  engine: Engine | undefined;
  #open: DuckDBTarget[] = [];
  #usual: DuckDBTarget | undefined;

  constructor() {
    mkdirSync(join(this.scratch, "staging"));
    this.staging = new FileStore("file:///staging/", {
      root: this.scratch,
      clock: systemClock,
      random: systemRandom,
    });
  }

  async restart(): Promise<void> {
    await this.stop();
    this.engine = await openEngine({
      file: join(this.scratch, "w.db"),
      stagingDir: `${this.scratch}/staging/`,
      tempDir: join(this.scratch, "tmp"),
      memoryBytes: 256 * 2 ** 20,
      threads: 2,
    });
    this.#usual = this.#opened(this.scratch, "staging");
  }

  async stop(): Promise<void> {
    for (const target of this.#open.splice(0)) await target.close();
    this.engine?.closeSync();
  }

  readonly target: Target = {
    check: (tableId, columns, signal) => this.#usual!.check(tableId, columns, signal),
    prepare: (tableId, columns, signal) => this.#usual!.prepare(tableId, columns, signal),
    drop: (tableId, journals, signal) => this.#usual!.drop(tableId, journals, signal),
    loadedEnds: (tableId, signal) => this.#usual!.loadedEnds(tableId, signal),
    load: (request, signal) => {
      const how = this.fails;
      this.fails = undefined;
      if (how === undefined) return this.#usual!.load(request, signal);
      // A directory that cannot be synced fails a load that has committed.
      const broken = how === "before" ? this.#opened(this.scratch, "gone") : this.#opened("/gone", "staging");
      return broken.load(request, signal);
    },
  };

  async rows(tableId: string): Promise<readonly TargetRow[]> {
    const connection = await this.engine!.connect();
    try {
      const table = qualified(parseTableId(tableId));
      const found = await connection.runAndReadAll(`SELECT * FROM ${table}`);
      return found.getRowObjectsJson().map(({ _journal, _offset, ...values }) => {
        return {
          journal: _journal as string,
          offset: Number(_offset),
          values: values as TargetRow["values"],
        };
      });
    } catch (thrown) {
      if (String(thrown).includes("does not exist")) return [];
      throw thrown;
    } finally {
      connection.closeSync();
    }
  }

  #opened(directory: string, staging: string): DuckDBTarget {
    const resolve = (path: string): string => join(this.scratch, staging, path);
    const target = new DuckDBTarget(this.engine!, resolve, () => undefined, directory);
    this.#open.push(target);
    return target;
  }
}

async function subject(): Promise<TargetSubject> {
  const warehouse = new Warehouse();
  await warehouse.restart();
  return {
    target: warehouse.target,
    staging: warehouse.staging,
    rows: (tableId) => warehouse.rows(tableId),
    again: async () => {
      await warehouse.restart();
      return warehouse.target;
    },
    failNext: (when) => {
      warehouse.fails = when;
    },
    close: async () => {
      await warehouse.stop();
      rmSync(warehouse.scratch, { recursive: true });
    },
  };
}

targetConformance("duckdb", { commits: "together", checksTables: true, takesNul: true }, subject);
