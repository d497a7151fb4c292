// Which definitions the doors of all processes have seen, so that whoever changes one can wait until it is in force
// everywhere. Nothing depends on it for its safety: a record says by which version it was mapped.
//
// Each door puts the revision of its mirror under its process's lease, when it has changed; a door that is gone is not
// waited for once its lease has ended, and one that is cut off no longer than DOORS_WAIT_MS.
import { abortScope, Gate, text, utf8, waitUntil, WireError, type Clock, type Logger } from "@millrace/base";
import { Keyspace, type CoordinationStore, type Key, type LeasedKeys } from "@millrace/metadata";

/** What a door shows of its mirror. */
export interface SeenDefinitions {
  /** Everything of the definitions up to it is in force here; moves with definitions only. */
  readonly revision: number;
  /** Calls `listener` when `revision` has moved and its changes are in force. @returns a function that ends it */
  observeRevision(listener: () => void): () => void;
}

export const DOORS_PREFIX: Key = "stream/runtime/closesync/source/node/";

/** From a change until it is published: several at once are one. */
const PUBLISH_MS = 20;
/** How long a change waits for a door that is cut off. */
const DOORS_WAIT_MS = 5000;

/** Publishes what this process's door has seen, until the returned function is called. */
export function publishSeen(
  seen: SeenDefinitions,
  ports: { readonly leases: LeasedKeys; readonly nodeId: string; readonly clock: Clock },
): () => void {
  const value = (): Uint8Array => utf8(JSON.stringify({ revision: seen.revision }));
  const held = ports.leases.hold(DOORS_PREFIX + ports.nodeId, value());
  let cancel: (() => void) | undefined;
  const stop = seen.observeRevision(() => {
    cancel ??= ports.clock.after(PUBLISH_MS, () => {
      cancel = undefined;
      held.set(value());
    });
  });
  return () => {
    stop();
    cancel?.();
    held.release();
  };
}

export class DoorSync {
  readonly #keyspace: Keyspace<number>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #changed = new Gate();

  constructor(ports: { store: CoordinationStore; clock: Clock; logger: Logger }) {
    this.#clock = ports.clock;
    this.#logger = ports.logger;
    this.#keyspace = new Keyspace({ ...ports, prefix: DOORS_PREFIX, decode: decodeSeen });
    this.#keyspace.observe(() => this.#changed.open());
  }

  /** @throws {WireError} what the store says */
  load(signal: AbortSignal): Promise<void> {
    return this.#keyspace.load(0, signal);
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#keyspace.run(signal);
  }

  /**
   * Waits until all doors have seen `revision`, but not for ever.
   * @returns whether they have @throws `signal.reason`
   */
  async wait(revision: number, signal: AbortSignal): Promise<boolean> {
    const scope = abortScope(signal);
    const late = new WireError("UNAVAILABLE", "a door is late");
    const cancel = this.#clock.after(DOORS_WAIT_MS, () => scope.abort(late));
    try {
      await waitUntil(this.#changed, () => this.#behind(revision).length === 0, scope.signal);
      return true;
    } catch (thrown) {
      if (thrown !== late) throw thrown;
      this.#logger.warn("doors-late", { revision, nodes: this.#behind(revision), waitedMs: DOORS_WAIT_MS });
      return false;
    } finally {
      cancel();
      scope.dispose();
    }
  }

  #behind(revision: number): readonly string[] {
    const late = this.#keyspace.scan().filter(({ value }) => value < revision);
    return late.map(({ key }) => key.slice(DOORS_PREFIX.length));
  }
}

function decodeSeen(_key: string, value: Uint8Array): number | Error {
  const { revision } = JSON.parse(text(value)) as { revision?: unknown };
  return Number.isSafeInteger(revision) ? (revision as number) : new Error("no revision");
}
