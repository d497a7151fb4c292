// Resolution for appends: reads through revisions, creates journals that a rule wants, and waits a moment for a
// primary that the allocator is about to assign.
import type { Clock } from "@millrace/base";
import { stripMeta, type AppendPreamble, type LabelSelector, type Status } from "@millrace/protocol";
import { applyJournals, type ApplyPorts } from "./apply.ts";
import { AutoCreator, type AutoCreateRule } from "./auto-create.ts";
import { changeWithin } from "./gate-timeout.ts";
import { ASSIGNMENT_WAIT_MS } from "./limits.ts";
import type { Resolution } from "./resolver.ts";

export interface AppendResolverPorts extends ApplyPorts {
  readonly clock: Clock;
  readonly autoCreate: readonly AutoCreateRule[];
  /** Aborts when the broker stops. */
  readonly stopping: AbortSignal;
}

/** A journal that was just made or resumed gets its primary in a moment. */
const PASSING: ReadonlySet<Status> = new Set(["NO_JOURNAL_PRIMARY_BROKER", "INSUFFICIENT_JOURNAL_BROKERS"]);

export class AppendResolver {
  readonly #ports: AppendResolverPorts;
  readonly #visible: LabelSelector | undefined;
  readonly #creator: AutoCreator;

  /** @param visible journals outside are not found, nor made */
  constructor(ports: AppendResolverPorts, visible: LabelSelector | undefined) {
    this.#ports = ports;
    this.#visible = visible;
    this.#creator = new AutoCreator(ports.autoCreate, (spec) => {
      const changes = [{ expectModRevision: 0, upsert: spec, delete: "" }];
      return applyJournals(ports, { changes }, visible, ports.stopping);
    });
  }

  /** At once when there is nothing to wait for. @throws {WireError} INVALID_ARGUMENT, SHUTTING_DOWN; of the store */
  resolve(
    request: AppendPreamble,
    minRevision: number,
    signal: AbortSignal,
  ): Resolution | Promise<Resolution> {
    const through = this.#ports.resolver.readThrough(request.header, minRevision, signal);
    if (through !== undefined) return through.then(() => this.#settled(request, signal));
    const resolution = this.#now(request);
    const { status } = resolution;
    const isFinal = status !== "JOURNAL_NOT_FOUND" && !PASSING.has(status);
    return isFinal ? resolution : this.#settled(request, signal);
  }

  #now({ journal, doNotProxy }: AppendPreamble): Resolution {
    const options = { authority: "primary", mayProxy: !doNotProxy, visible: this.#visible } as const;
    return this.#ports.resolver.resolve(stripMeta(journal), options);
  }

  async #settled(request: AppendPreamble, signal: AbortSignal): Promise<Resolution> {
    const { clock, keyspace } = this.#ports;
    const journal = stripMeta(request.journal);
    if (keyspace.table.item(journal) === undefined && this.#creator.wants(journal)) {
      const revision = await this.#creator.ensure(journal);
      await keyspace.waitForRevision(revision, signal);
    }
    const untilMs = clock.monotonicMs() + ASSIGNMENT_WAIT_MS;
    for (;;) {
      const resolution = this.#now(request);
      const leftMs = untilMs - clock.monotonicMs();
      if (!PASSING.has(resolution.status) || leftMs <= 0) return resolution;
      await changeWithin(keyspace.changed, leftMs, clock, signal);
    }
  }
}
