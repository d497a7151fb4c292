// Listing of journals by selector, once or watched (section 5.3).
import { waitUntil } from "@millrace/base";
import {
  extendedLabels,
  matchesSelector,
  withNamePrefixes,
  type LabelSelector,
  type ListedJournal,
  type ListRequest,
  type ListResponse,
} from "@millrace/protocol";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { eitherSignal } from "./either-signal.ts";
import type { Item } from "./journal-table.ts";
import type { Resolver } from "./resolver.ts";

export class Lister {
  readonly #keyspace: BrokerKeyspace;
  readonly #resolver: Resolver;

  constructor(keyspace: BrokerKeyspace, resolver: Resolver) {
    this.#keyspace = keyspace;
    this.#resolver = resolver;
  }

  /** @param visible journals outside are left out */
  snapshot(request: ListRequest, visible: LabelSelector | undefined): ListResponse {
    const selector = withNamePrefixes(request.selector);
    const { table } = this.#keyspace;
    const journals: ListedJournal[] = [];
    for (const name of table.names(scanPrefix(selector))) {
      const item = table.item(name)!;
      const { spec, modRevision, createRevision } = item;
      const labels = extendedLabels(spec.name, spec.labels);
      if (!matchesSelector(selector, labels)) continue;
      if (visible !== undefined && !matchesSelector(visible, labels)) continue;
      const route = this.#resolver.routeOf(name);
      journals.push({ spec, modRevision, createRevision, route, ...this.#unusual(item) });
    }
    return { status: "OK", header: this.#resolver.header(), journals };
  }

  /** Of a journal whose appends do not wait for `synced` on all replicas. */
  #unusual(item: Item): Pick<ListedJournal, "acknowledgement"> {
    const { level, minReplicas, isReduced } = this.#resolver.acknowledgement(item);
    const isUsual = level === "synced" && minReplicas === this.#resolver.desiredReplicas(item);
    return isUsual ? {} : { acknowledgement: { level, minReplicas, isReduced } };
  }

  /**
   * A snapshot, then another each time the count of matches or the newest of their revisions has changed. Ends when
   * the broker stops; rejects when `signal` aborts.
   */
  async *watch(
    request: ListRequest,
    visible: LabelSelector | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<ListResponse, void, undefined> {
    const { stopped } = this.#resolver;
    const scope = eitherSignal(signal, stopped);
    try {
      yield* this.#follow(request, visible, scope.signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!stopped.aborted) throw error;
    } finally {
      scope.dispose();
    }
  }

  async *#follow(
    request: ListRequest,
    visible: LabelSelector | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<ListResponse, never, undefined> {
    const resume = request.watchResume;
    // By the revision that the answer will say: clients take the one that they resumed from for a fault.
    const isNews = (): boolean =>
      resume === undefined || this.#keyspace.header.revision > resume.etcd.revision;
    await waitUntil(this.#keyspace.changed, isNews, signal);
    let last: string | undefined;
    for (;;) {
      const next = this.snapshot(request, visible);
      const newest = next.journals.reduce((most, { modRevision }) => Math.max(most, modRevision), 0);
      const seen = `${next.journals.length}/${newest}`;
      if (seen !== last) yield next;
      last = seen;
      // A change during the yield is not lost: the revision tells.
      if (this.#keyspace.header.revision === next.header.etcd.revision)
        await this.#keyspace.changed.next(signal);
    }
  }
}

/** With exactly one included name, only journals whose name starts with it can match. */
function scanPrefix(selector: LabelSelector): string {
  const names = selector.include.labels.filter(({ name }) => name === "name");
  return names.length === 1 ? names[0]!.value : "";
}
