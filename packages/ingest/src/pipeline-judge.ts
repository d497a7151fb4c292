// The judge of pipeline-world.ts: what must hold after every change, and what at the end.
//
// W1 Each partition's slices tile it. W2 Files have only slices that their state permits. W3 Loaded ends never go back.
// W4 The tables together hold, per partition, rows that count and follow each other in the journal, once: also when a
// sink comes back to a table that it had before. At the end, after everything healed: W5 all rows are there, and
// statistics count them.
import assert from "node:assert/strict";
import { text } from "@millrace/base";
import type { SinkDefinition } from "./definitions.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import { FrameFilter } from "./frame-filter.ts";
import { KeyWindow } from "./key-window.ts";
import type { ModelCatalog } from "./model-catalog.ts";
import type { ModelJournals } from "./model-journals.ts";
import type { ModelRow, ModelTarget } from "./model-target.ts";
import type { Pipeline } from "./pipeline.ts";
import { fileViolation, tilingViolation } from "./storage-rules.ts";
import type { StorageView } from "./storage-view.ts";

export interface JudgedWorld {
  readonly view: StorageView;
  readonly journals: ModelJournals;
  readonly target: ModelTarget;
  readonly catalog: ModelCatalog;
  readonly sinks: readonly SinkDefinition[];
}

interface ExpectedRow {
  readonly offset: number;
  readonly values: Readonly<Record<string, string>>;
}

/** What a partition's bytes say, as far as they were read. */
interface Oracle {
  readonly decoder: FrameDecoder;
  readonly filter: FrameFilter;
  readonly keys: KeyWindow;
  readonly rows: ExpectedRow[];
}

export class Judge {
  readonly #world: JudgedWorld;
  readonly #ends = new Map<string, number>();
  /** Rows that were judged, by table and by journal. */
  readonly #verified = new Map<string, number>();
  readonly #oracles = new Map<string, Oracle>();

  constructor(world: JudgedWorld) {
    this.#world = world;
  }

  /** @param paths sinks of which something changed @throws what was violated */
  judge(paths: Iterable<string>): void {
    for (const path of paths) {
      const sink = this.#world.view.sinks.get(path);
      if (sink === undefined) continue;
      for (const { entity, slices } of sink.partitions.values()) {
        if (entity === undefined) continue;
        const ordered = slices.map(({ value }) => value);
        assert.equal(tilingViolation(entity.value, ordered), undefined, "W1");
      }
      for (const { entity, slices } of sink.files.values()) {
        assert.ok(entity !== undefined, "W2: slices without their file");
        const own = [...slices.values()].map(({ value }) => value);
        assert.equal(fileViolation(entity.value, own), undefined, "W2");
      }
    }
    for (const [name, table] of this.#world.target.tables) {
      for (const [journal, end] of table.ends) {
        const key = `${name} ${journal}`;
        assert.ok(end >= (this.#ends.get(key) ?? 0), `W3: ${key} from ${this.#ends.get(key)} to ${end}`);
        this.#ends.set(key, end);
      }
    }
    this.#judgeRows();
  }

  /** @param accepted records that were acknowledged */
  judgeEnd(accepted: number, pipeline: Pipeline): void {
    this.judge(this.#world.view.sinks.keys());
    let counted = 0;
    for (const sink of this.#world.sinks) {
      counted += pipeline.statistics.total(sink).levels.target?.recordsCount ?? 0;
    }
    assert.equal(counted, this.countingRows(), "W5: statistics of the target level");
    assert.equal(this.loadedRows(), counted, "W5: rows of all tables");
    assert.equal(counted, accepted, "W5: rows that were acknowledged stand once");
  }

  /** Rows of the partitions that count. */
  countingRows(): number {
    let rows = 0;
    for (const journal of this.#world.journals.journals.keys()) rows += this.#expected(journal).length;
    return rows;
  }

  loadedRows(): number {
    return [...this.#world.target.tables.values()].reduce((sum, table) => sum + table.rows.length, 0);
  }

  /** Whether every row that counts is in a table. What is left may be repeated frames: no rows, no rotation. */
  allLoaded(): boolean {
    if (this.loadedRows() < this.countingRows()) return false;
    const { view } = this.#world;
    const files = [...view.sinks.values()].flatMap((sink) => [...sink.files.values()]);
    return files.every(
      ({ entity }) => entity?.value.state === "imported" || entity?.value.state === "writing",
    );
  }

  /** W4, for the rows that have come since it was last asked. */
  #judgeRows(): void {
    const byJournal = new Map<string, ModelRow[]>();
    for (const [name, table] of this.#world.target.tables) {
      for (const row of table.rows.slice(this.#verified.get(name) ?? 0)) {
        byJournal.set(row.journal, [...(byJournal.get(row.journal) ?? []), row]);
      }
      this.#verified.set(name, table.rows.length);
    }
    for (const [journal, rows] of byJournal) {
      const got = rows.map(({ offset, values }) => ({ offset, values })).sort((a, b) => a.offset - b.offset);
      const seen = this.#verified.get(journal) ?? 0;
      const wanted = this.#expected(journal).slice(seen, seen + rows.length);
      assert.deepEqual(got, wanted, `W4: rows from ${seen} on of ${journal}`);
      this.#verified.set(journal, seen + rows.length);
    }
  }

  /** The rows of a partition that count, from its bytes. */
  #expected(journal: string): readonly ExpectedRow[] {
    let known = this.#oracles.get(journal);
    if (known === undefined) {
      known = { decoder: new FrameDecoder(0), filter: new FrameFilter(), keys: new KeyWindow(), rows: [] };
      this.#oracles.set(journal, known);
    }
    const sink = this.#world.sinks.find(({ sinkId }) => journal.includes(`/${sinkId}/`))!;
    for (const one of known.decoder.push(this.#world.journals.content(journal).slice(known.decoder.offset))) {
      const kept = known.keys.kept(one);
      if (!known.filter.accept(one)) continue;
      for (const { bodyBegin, rowLengths, body, sinkVersion } of kept) {
        let at = 0;
        for (const length of rowLengths) {
          const row = text(body.subarray(at, at + length));
          known.rows.push({ offset: bodyBegin + at, values: this.#values(sink, sinkVersion, row) });
          at += length;
        }
      }
    }
    return known.rows;
  }

  #values(sink: SinkDefinition, version: number, row: string): Record<string, string> {
    const values = row
      .slice(1, -2)
      .split('","')
      .map((part) => part.replaceAll('""', '"'));
    const names = this.#world.catalog.versionColumns(sink, version);
    return Object.fromEntries(names.map(({ name }, i) => [name, values[i]!]));
  }
}
