// How to log in at a target that a sink has left while rows are still on their way there: the newest version that named
// the target knows. To mend a login there, its owner goes back to that target with a good one, and leaves again.
import { WireError } from "@millrace/base";
import type { CoordinationStore } from "@millrace/metadata";
import { decodeSink } from "./definition-codec.ts";
import { sinkVersionKey } from "./definition-keys.ts";
import { sinkPath, type SinkDefinition } from "./definitions.ts";
import { CannotOpen, type SecretBox } from "./secret-box.ts";
import { isSameTarget, shownTarget, targetOf, type TargetRef } from "./target-ref.ts";
import { settingsOf, type TargetSettings } from "./target-settings.ts";

export class FormerTargets {
  readonly #store: CoordinationStore;
  readonly #secrets: SecretBox;

  constructor({ store, secrets }: { readonly store: CoordinationStore; readonly secrets: SecretBox }) {
    this.#store = store;
    this.#secrets = secrets;
  }

  /**
   * @param sink as it is now
   * @throws {WireError} NOT_FOUND; UNAVAILABLE while the key of its password is not here; and what the store says
   */
  async of(sink: SinkDefinition, target: TargetRef, signal: AbortSignal): Promise<TargetSettings> {
    for (let number = sink.version.number - 1; number > 0; number--) {
      const key = sinkVersionKey(sink, number);
      const [found] = (await this.#store.range({ key }, signal)).kvs;
      if (found === undefined) continue;
      const then = this.#opened(found.value, key);
      if (isSameTarget(targetOf(then), target)) return settingsOf(then.table);
    }
    const message = `no version of sink ${sinkPath(sink)} says how to log in at ${shownTarget(target)}`;
    throw new WireError("NOT_FOUND", message);
  }

  #opened(value: Uint8Array, key: string): SinkDefinition {
    try {
      return decodeSink(value, key, this.#secrets);
    } catch (thrown) {
      if (!(thrown instanceof CannotOpen)) throw thrown;
      throw new WireError("UNAVAILABLE", thrown.message, { cause: thrown });
    }
  }
}
