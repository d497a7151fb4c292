// Resolution for appends: reads through revisions, creates journals that a rule wants, and waits a moment for a
// primary that the allocator is about to assign.
import { WireError, type Clock } from "@millrace/base";
import { stripMeta, type AppendPreamble, type LabelSelector } from "@millrace/protocol";
import type { Lifetime } from "./append-ports.ts";
import { applyJournals, type ApplyPorts } from "./apply.ts";
import { AutoCreator, type AutoCreateRule } from "./auto-create.ts";
import type { Resolution } from "./resolver.ts";
import { isPassing, whenServed } from "./served-resolution.ts";

export interface AppendResolverPorts extends ApplyPorts {
  readonly clock: Clock;
  readonly autoCreate: readonly AutoCreateRule[];
  /** Aborts when the broker stops. */
  readonly stopping: AbortSignal;
}

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
    lifetime: Lifetime,
  ): Resolution | Promise<Resolution> {
    const isBehind = request.header !== undefined || !this.#ports.keyspace.holds(minRevision);
    const through = isBehind ? this.#readThrough(request, minRevision, lifetime.signal) : undefined;
    if (through !== undefined)
      return through.then(() => this.#settled(request, minRevision, lifetime.signal));
    const resolution = this.#now(request);
    const { status } = resolution;
    const isFinal =
      status !== "JOURNAL_NOT_FOUND" && !isPassing(status) && !isGrowing(resolution, minRevision);
    return isFinal ? resolution : this.#settled(request, minRevision, lifetime.signal);
  }

  /** Unlike a read, an append says where a foreign header was refused. */
  #readThrough(
    { header }: AppendPreamble,
    minRevision: number,
    signal: AbortSignal,
  ): Promise<void> | undefined {
    try {
      return this.#ports.resolver.readThrough(header, minRevision, signal);
    } catch (error) {
      const { code, message } = WireError.from(error);
      throw new WireError(code, `resolve: ${message}`, { cause: error });
    }
  }

  #now({ journal, doNotProxy }: AppendPreamble): Resolution {
    const options = { authority: "primary", mayProxy: !doNotProxy, visible: this.#visible } as const;
    return this.#ports.resolver.resolve(stripMeta(journal), options);
  }

  async #settled(request: AppendPreamble, minRevision: number, signal: AbortSignal): Promise<Resolution> {
    const { keyspace } = this.#ports;
    const journal = stripMeta(request.journal);
    if (keyspace.table.item(journal) === undefined && this.#creator.wants(journal)) {
      const revision = await this.#create(journal);
      if (revision !== undefined) await keyspace.waitForRevision(revision, signal);
    }
    const isUnsettled = (found: Resolution): boolean =>
      isPassing(found.status) || isGrowing(found, minRevision);
    return whenServed(this.#ports, () => this.#now(request), signal, isUnsettled);
  }

  /** @returns undefined when the caller may not see it: then it hears the same as of one that exists */
  async #create(journal: string): Promise<number | undefined> {
    try {
      return await this.#creator.ensure(journal);
    } catch (error) {
      if (WireError.from(error).code !== "FORBIDDEN") throw error;
      return undefined;
    }
  }
}

/** The append has resumed the journal at `minRevision`, and the allocator is about to give it its replicas. */
function isGrowing({ status, item, header, desiredReplicas }: Resolution, minRevision: number): boolean {
  return (
    status === "OK" && item?.modRevision === minRevision && header.route.members.length < desiredReplicas
  );
}
