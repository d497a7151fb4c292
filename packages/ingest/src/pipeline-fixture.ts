// One pipeline over models that do not fail unless told to, on a simulated clock, for tests of one behaviour at a time.
import assert from "node:assert/strict";
import { MetricsRegistry, silentLogger } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import type { CoordinationStore } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { objectStores, type ObjectStores } from "@millrace/stores";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import { partitionJournal, type EffectiveSink, type SinkDefinition } from "./definitions.ts";
import { ModelCatalog, modelSink } from "./model-catalog.ts";
import { ModelJournals, type ModelJournalsOptions } from "./model-journals.ts";
import { ModelTarget, type ModelRow } from "./model-target.ts";
import { PartitionIntegrity } from "./partition-integrity.ts";
import { Partitions } from "./partition-registry.ts";
import { frame, TEMPLATE } from "./pipeline-world.ts";
import { openPipeline, type Pipeline, type PipelineOptions, type PipelinePorts } from "./pipeline.ts";
import { StorageStore } from "./storage-store.ts";
import { onlyTarget } from "./target.ts";

export const PRODUCER = "00deadbeef00cafe";

export class Fixture {
  readonly agenda: Agenda;
  readonly clock: SimulatedClock;
  readonly random = seededRandom("fixture");
  readonly catalog = new ModelCatalog();
  readonly journals: ModelJournals;
  readonly staging: MemoryStore;
  readonly fragments: MemoryStore;
  readonly target: ModelTarget;
  readonly metrics = new MetricsRegistry();
  readonly store: CoordinationStore;
  /** The test's own mirror. */
  readonly storage: StorageStore;
  readonly partitions: Partitions;
  readonly signal: AbortSignal = new AbortController().signal;
  readonly #sequences = new Map<string, number>();

  private constructor(store: CoordinationStore, agenda: Agenda, options: Partial<ModelJournalsOptions>) {
    this.agenda = agenda;
    this.clock = new SimulatedClock(agenda);
    const { clock, random } = this;
    this.store = store;
    this.journals = new ModelJournals({ clock, random, ...options });
    this.staging = memoryStore({ clock, random, latencyMs: { min: 1, max: 2 } });
    this.fragments = memoryStore({ clock, random, url: "file:///fragments/" });
    this.target = new ModelTarget({
      clock,
      random,
      stagingStore: this.staging,
      latencyMs: { min: 5, max: 5 },
    });
    this.storage = new StorageStore({ store, clock, logger: silentLogger });
    // Asked while no time passes.
    const loadedEnds = (tableId: string): Promise<ReadonlyMap<string, number>> =>
      Promise.resolve(new Map(this.target.tables.get(tableId)?.ends));
    const { journals: transport } = this;
    this.partitions = this.partitionsWith(
      new PartitionIntegrity({ transport, targets: { open: () => Promise.resolve({ loadedEnds }) }, clock }),
    );
  }

  static async open(options: Partial<ModelJournalsOptions> = {}): Promise<Fixture> {
    const agenda = new Agenda();
    const store = await openMemoryStore(new SimulatedClock(agenda), seededRandom("store"));
    const fixture = new Fixture(store, agenda, options);
    await fixture.storage.load(fixture.signal);
    fixture.storage.run(fixture.signal).catch(() => {});
    return fixture;
  }

  /** As another process has them. */
  reopenPartitions(pipeline?: Pipeline): Partitions {
    const { journals: transport, clock } = this;
    const targets = onlyTarget("duckdb", this.target);
    return this.partitionsWith(pipeline?.integrity ?? new PartitionIntegrity({ transport, targets, clock }));
  }

  partitionsWith(integrity: PartitionIntegrity): Partitions {
    const { store, journals: transport, catalog, clock } = this;
    return new Partitions({ store, transport, catalog, integrity, clock, logger: silentLogger }, TEMPLATE);
  }

  get stores(): ObjectStores {
    return objectStores({ file: () => this.fragments });
  }

  async pipeline(
    options: PipelineOptions = {},
    more: Partial<Pick<PipelinePorts, "shares" | "targets">> = {},
  ): Promise<Pipeline> {
    const {
      store,
      journals: transport,
      staging: stagingStore,
      catalog,
      clock,
      random,
      metrics,
      stores,
    } = this;
    const logger = silentLogger;
    const targets = onlyTarget("duckdb", this.target);
    const ports = {
      store,
      transport,
      stagingStore,
      stores,
      targets,
      catalog,
      clock,
      random,
      logger,
      metrics,
    };
    return openPipeline({ ...ports, ...more }, options, this.signal);
  }

  sink(fields: Partial<EffectiveSink> = {}): EffectiveSink {
    const definition = modelSink(fields);
    this.catalog.put(definition);
    return definition;
  }

  /** Appends one frame of rows with two values each, `keys` of all or of none. @returns the journal */
  async append(
    sink: SinkDefinition,
    n: number,
    count: number,
    bytes = 10,
    keys?: readonly string[],
  ): Promise<string> {
    const journal = partitionJournal(sink, n);
    if (!this.journals.journals.has(journal)) await this.partitions.ensure(sink, n, this.signal);
    const sequence = (this.#sequences.get(journal) ?? 0) + 1;
    this.#sequences.set(journal, sequence);
    const rows = Array.from({ length: count }, (_, i) => `"${sequence}-${i}","${"v".repeat(bytes)}"\n`);
    this.journals.push(journal, frame(PRODUCER, sequence, 1, this.clock.wallMs(), rows, keys));
    return journal;
  }

  rows(tableId = "main.sink"): readonly ModelRow[] {
    return this.target.tables.get(tableId)?.rows ?? [];
  }

  /** Runs until `done`, at most `ms` of virtual time. */
  async until(done: () => boolean, ms = 60_000): Promise<void> {
    assert.ok(await this.agenda.runUntil(done, this.agenda.nowMs + ms), `not done after ${ms} ms`);
  }

  /** Awaits `work` while time passes. */
  async during<T>(work: Promise<T>, ms = 60_000): Promise<T> {
    let settled = false;
    const noted = work.finally(() => {
      settled = true;
    });
    noted.catch(() => {});
    await this.until(() => settled, ms);
    return noted;
  }

  /** States of a sink's files, oldest first. */
  fileStates(sink: SinkDefinition): string[] {
    const files = [...(this.storage.view.sink(sink)?.files.values() ?? [])];
    files.sort((a, b) => Number(a.entity!.value.fileId) - Number(b.entity!.value.fileId));
    return files.map(({ entity }) => entity!.value.state);
  }
}
