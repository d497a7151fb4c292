// Makes dead-letter journals at their first letter (D26): what the coordination store knows of it first, then the
// journal, so that whoever removes old letters finds every one. Any number of processes may race.
import { hex, WireError, type Clock, type Random } from "@millrace/base";
import { applyJournals, type JournalTransport } from "@millrace/client";
import type { CoordinationStore } from "@millrace/metadata";
import { labelSet, unionLabels, type JournalSpec } from "@millrace/protocol";
import { decodeLife } from "./definition-codec.ts";
import { nextKey } from "./definition-keys.ts";
import { checkLetters, takenLetters } from "./dead-letter-log.ts";
import { letterStateKey, loadLetterState, putLetterState, type LetterState } from "./dead-letter-state.ts";
import { deadLetterJournal, incarnationOf, sinkPath, type SinkLife } from "./definitions.ts";
import { LetterEnds } from "./letter-ends.ts";
import { endOf } from "./partition-integrity.ts";
import { DEAD_LETTER_KIND, FRAME_LABELS, type PartitionTemplate } from "./partition-registry.ts";
import { SinkGone } from "./publisher.ts";
import type { SinkCatalog } from "./storage-catalog.ts";
import { isoTime } from "./storage-json.ts";

export interface DeadLetterJournalPorts {
  readonly store: CoordinationStore;
  readonly transport: JournalTransport;
  readonly catalog: Pick<SinkCatalog, "sink">;
  readonly clock: Clock;
  readonly random: Random;
}

export class DeadLetterJournals {
  readonly #ports: DeadLetterJournalPorts;
  readonly #template: PartitionTemplate;
  readonly #ends: LetterEnds;

  constructor(ports: DeadLetterJournalPorts, template: PartitionTemplate) {
    this.#ports = ports;
    this.#ends = new LetterEnds(ports.catalog);
    this.#template = template;
  }

  /**
   * Makes sure that the dead-letter journal of a sink is there, and ends behind what replays have taken of it.
   * @returns its name
   * @throws {SinkGone} for a sink that is unknown, or another one by now
   * @throws {LostBytes} when it ends before what was replayed of it
   * @throws {WireError} of store and broker
   */
  async ensure(sink: SinkLife, signal: AbortSignal): Promise<string> {
    const { store, catalog, clock, random, transport } = this.#ports;
    const known = catalog.sink(sink);
    if (known === undefined || incarnationOf(known) !== incarnationOf(sink)) {
      throw new SinkGone(`sink ${sinkPath(sink)} not found`);
    }
    const next = nextKey(sink);
    const [left] = (await store.range({ key: next }, signal)).kvs;
    if (incarnationOf(decodeLife(left?.value, next)) > incarnationOf(sink)) {
      throw new SinkGone(`sink ${sinkPath(sink)} was deleted with everything in it`);
    }
    const name = deadLetterJournal(sink);
    const stored = await loadLetterState(store, sink, signal);
    if (stored === undefined) {
      const key = letterStateKey(sink);
      const { kvs } = await store.range({ key }, signal); // what an earlier life has left is written over
      const state: LetterState = {
        journal: name,
        createdAt: isoTime(clock.wallMs()),
        position: { offset: 0, index: 0, filter: [] },
        producer: hex(random.fill(new Uint8Array(8))),
        sequence: 0,
        replayed: 0,
        refused: 0,
      };
      await putLetterState(store, key, { state, modRevision: kvs[0]?.modRevision ?? 0 }, signal);
    }
    const own = labelSet(
      [FRAME_LABELS.kind, DEAD_LETTER_KIND],
      [FRAME_LABELS.source, sink.sourceId],
      [FRAME_LABELS.sink, sink.sinkId],
    );
    const spec: JournalSpec = { ...this.#template, name, labels: unionLabels(own, this.#template.labels) };
    try {
      await applyJournals(transport, [{ expectModRevision: 0, upsert: spec, delete: "" }], signal);
    } catch (thrown) {
      if (!(thrown instanceof WireError) || thrown.code !== "ETCD_TRANSACTION_FAILED") throw thrown;
    }
    const state = stored?.state;
    const head = await endOf(transport, name, signal);
    if (head !== undefined && state !== undefined) checkLetters(state, head, this.#ends.heard(sink));
    this.#ends.noteWhole(sink, Math.max(head ?? 0, state === undefined ? 0 : takenLetters(state)));
    return name;
  }

  knownEnd(sink: SinkLife): number {
    return this.#ends.known(sink);
  }

  onAppended(sink: SinkLife, end: number): void {
    this.#ends.note(sink, end);
  }

  forget(sink: SinkLife): void {
    this.#ends.forget(sink);
  }
}
