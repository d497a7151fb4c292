// The data keys of an installation as a process has them: read from the coordination store, unwrapped by a key
// management service at the start, and kept in memory: what is open stays open while the service is away.
//
// G1 Processes agree by a transaction: whoever comes second takes what is there, and forgets the key that was made for
//    him.
// G2 A key is asked for under the names of the setting alone, never under one that only the record has: who can write
//    to the store cannot have secrets sealed with a key of his own.
// G3 A start is refused when a key was changed, or when none can be had under the first name. A key that is closed for
//    another reason is in the log; what it has sealed says so when it is opened.
// G4 Keys that other processes make are followed, so that they are here before they seal (N1). Who waits for a key that
//    is closed is told when it has become open.
import { hex, WireError, type Clock, type Logger, type Random } from "@millrace/base";
import type { CoordinationStore } from "@millrace/metadata";
import { callKeyService, errorOfCall } from "./key-calls.ts";
import {
  DATA_KEY_COUNT_MAX,
  DATA_KEYS_KEY,
  decodeDataKeys,
  encodeDataKeys,
  type DataKey,
  type DataKeyRecord,
} from "./data-key-record.ts";
import { keyToMake, sealingKey, type KeysHere, type KeyState } from "./data-key-rules.ts";
import {
  DATA_KEY_BYTES,
  textOfFailure,
  type KeyContext,
  type KeyFailure,
  type KeyService,
  type MadeKey,
} from "./key-service.ts";
import { keyId, type SecretKey, type SecretKeys } from "./system-aes-box.ts";

/** Between looks at the record. */
const LOOK_MS = 30_000;
/** Looks after which keys that are closed are tried again: rights may have been given meanwhile. */
const LOOKS_UNTIL_RETRY = 20;
/** Processes that are faster, one after the other, before a start gives up. */
const TURN_COUNT_MAX = 10;
const INSTALLATION_BYTES = 16;

export interface DataKeyPorts {
  readonly store: CoordinationStore;
  readonly service: KeyService;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface DataKeyPlan {
  /** Keys of the service: the first wraps new data keys, all unwrap. One or more. */
  readonly names: readonly string[];
  /** Bound into what is wrapped, with the installation's id. */
  readonly context: KeyContext;
  /** 0: never. */
  readonly rotateAfterMs: number;
}

interface Known {
  readonly record: DataKeyRecord | undefined;
  readonly modRevision: number;
}

export class DataKeyRing implements SecretKeys {
  readonly #ports: DataKeyPorts;
  readonly #plan: DataKeyPlan;
  readonly #states = new Map<string, KeyState>();
  /** By id: the monotonic time at which the record was first seen with the key (N1). */
  readonly #seenAtMs = new Map<string, number>();
  readonly #listeners = new Set<() => void>();
  #keys: readonly DataKey[] = [];
  #looks = 0;

  constructor(ports: DataKeyPorts, plan: DataKeyPlan) {
    this.#ports = ports;
    this.#plan = plan;
  }

  /** Has every key that can be opened, one under the first name among them. @throws {WireError} (G3); of the store */
  async load(signal: AbortSignal): Promise<void> {
    for (let turn = 1; turn <= TURN_COUNT_MAX; turn++) {
      const known = await this.#read(signal);
      await this.#unwrapNew(known, "refuse", signal);
      if (await this.#makeIfDue(known, "refuse", signal)) return;
    }
    throw new WireError(
      "UNAVAILABLE",
      `other processes changed ${DATA_KEYS_KEY} ${TURN_COUNT_MAX} times meanwhile`,
    );
  }

  /** Follows the record (G4) until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#ports.clock.sleep(LOOK_MS, signal);
      try {
        await this.#look(signal);
      } catch (thrown) {
        signal.throwIfAborted();
        this.#ports.logger.warn("data-keys-not-followed", { error: WireError.from(thrown) });
      }
    }
  }

  sealing(): SecretKey {
    const { clock } = this.#ports;
    const key = sealingKey(this.#here, { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() });
    const opened = key === undefined ? undefined : this.opening(key.id);
    if (opened !== undefined) return opened;
    throw new WireError("UNAVAILABLE", "no data key of encryption.kms-key is open");
  }

  opening(id: string): SecretKey | undefined {
    const state = this.#states.get(id);
    return state?.kind === "open" ? { id, bytes: state.bytes } : undefined;
  }

  whyClosed(id: string): string | undefined {
    const state = this.#states.get(id);
    return state?.kind === "closed" ? state.why : undefined;
  }

  observe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Keys of the record that are not open here. */
  get closedCount(): number {
    return this.#keys.filter(({ id }) => this.#states.get(id)?.kind !== "open").length;
  }

  get #here(): KeysHere {
    const firstName = this.#plan.names[0]!;
    return { keys: this.#keys, states: this.#states, seenAtMs: this.#seenAtMs, firstName };
  }

  async #look(signal: AbortSignal): Promise<void> {
    this.#looks++;
    if (this.#looks % LOOKS_UNTIL_RETRY === 0) {
      for (const [id, state] of this.#states) if (state.kind === "closed") this.#states.delete(id);
    }
    const known = await this.#read(signal);
    await this.#unwrapNew(known, "log", signal);
    await this.#makeIfDue(known, "log", signal);
  }

  async #read(signal: AbortSignal): Promise<Known> {
    const [kv] = (await this.#ports.store.range({ key: DATA_KEYS_KEY }, signal)).kvs;
    if (kv === undefined) return { record: undefined, modRevision: 0 };
    return { record: decodeDataKeys(kv.value), modRevision: kv.modRevision };
  }

  async #unwrapNew({ record }: Known, onFailure: "refuse" | "log", signal: AbortSignal): Promise<void> {
    const keys = record?.keys ?? [];
    let hasOpened = false;
    for (const { id } of keys) this.#see(id);
    for (const key of keys) {
      if (this.#states.has(key.id)) continue;
      const found = await this.#unwrapped(key, record!.installation, signal);
      if ("failure" in found) {
        const error = errorOfCall(`data key ${key.id}, wrapped by ${key.by}`, found.failure);
        const isGrave = found.failure.kind === "passing" || found.failure.kind === "changed"; // G3
        if (onFailure === "refuse" && isGrave) throw error;
        this.#ports.logger.warn("data-key-closed", { key: key.id, by: key.by, error: error.message });
        if (found.failure.kind === "passing") continue;
        this.#states.set(key.id, { kind: "closed", why: textOfFailure(found.failure) });
      } else {
        this.#states.set(key.id, found);
        hasOpened = true;
      }
    }
    this.#keys = keys;
    if (hasOpened) for (const listener of this.#listeners) listener();
  }

  #see(id: string): void {
    if (!this.#seenAtMs.has(id)) this.#seenAtMs.set(id, this.#ports.clock.monotonicMs());
  }

  /** Under the first of the names that has wrapped it (G2). */
  async #unwrapped(
    key: DataKey,
    installation: string,
    signal: AbortSignal,
  ): Promise<Extract<KeyState, { kind: "open" }> | { readonly failure: KeyFailure }> {
    const { service } = this.#ports;
    if (key.provider !== service.provider)
      return { failure: refused(`it is wrapped by ${key.provider}, not ${service.provider}`) };
    const context = this.#contextOf(installation);
    let worst: KeyFailure | undefined;
    for (const name of this.#plan.names) {
      const call = await callKeyService(this.#ports, signal, (bounded) =>
        service.unwrap(key.wrapped, name, context, bounded),
      );
      if (call.kind === "done") {
        if (call.value.length === DATA_KEY_BYTES && keyId(call.value) === key.id)
          return { kind: "open", name, bytes: call.value };
        return { failure: { ...refused("another key was wrapped in its place"), kind: "changed" } };
      }
      if (worst === undefined || worst.kind === "other-key") worst = call.failure;
    }
    return { failure: worst! };
  }

  /** @returns whether there was nothing to do, or it is done: else another process was faster (G1) */
  async #makeIfDue(known: Known, onFailure: "refuse" | "log", signal: AbortSignal): Promise<boolean> {
    const { clock, random, logger } = this.#ports;
    const { rotateAfterMs } = this.#plan;
    const due = keyToMake(this.#here, { rotateAfterMs, nowMs: clock.wallMs() });
    if (due === undefined) return true;
    const keys = known.record?.keys ?? [];
    const installation = known.record?.installation ?? hex(random.fill(new Uint8Array(INSTALLATION_BYTES)));
    try {
      if (keys.length === DATA_KEY_COUNT_MAX)
        throw new WireError(
          "CONFLICT",
          `${DATA_KEYS_KEY} has ${keys.length} keys already, the most that it takes`,
        );
      const made = await this.#made(installation, signal);
      if (await this.#put(known, { installation, keys: [...keys, made.key] }, signal)) {
        this.#see(made.key.id);
        this.#states.set(made.key.id, made.state);
        this.#keys = [...keys, made.key];
        logger.info("data-key-made", { key: made.key.id, by: made.key.by, why: due });
        return true;
      }
      made.state.bytes.fill(0);
      return false;
    } catch (thrown) {
      signal.throwIfAborted();
      // What there is seals on.
      if (due === "first" && onFailure === "refuse") throw thrown;
      logger.warn("data-key-not-made", { error: WireError.from(thrown) });
      return true;
    }
  }

  async #made(
    installation: string,
    signal: AbortSignal,
  ): Promise<{ readonly key: DataKey; readonly state: Extract<KeyState, { kind: "open" }> }> {
    const { service, clock } = this.#ports;
    const name = this.#plan.names[0]!;
    const context = this.#contextOf(installation);
    const call = await callKeyService<MadeKey>(this.#ports, signal, (bounded) =>
      service.generate(name, context, bounded),
    );
    if (call.kind === "failed")
      throw errorOfCall(`no data key from ${service.provider} key ${name}`, call.failure);
    const { plain, wrapped, by } = call.value;
    if (plain.length !== DATA_KEY_BYTES)
      throw new WireError(
        "CORRUPT",
        `a data key of ${plain.length} bytes (expected ${DATA_KEY_BYTES}) from ${name}`,
      );
    const key = { id: keyId(plain), provider: service.provider, by, wrapped, madeAtMs: clock.wallMs() };
    return { key, state: { kind: "open", name, bytes: plain } };
  }

  async #put(known: Known, record: DataKeyRecord, signal: AbortSignal): Promise<boolean> {
    const before = { target: "mod", key: DATA_KEYS_KEY, op: "=", revision: known.modRevision } as const;
    const put = { kind: "put", key: DATA_KEYS_KEY, value: encodeDataKeys(record) } as const;
    return (await this.#ports.store.txn({ compare: [before], success: [put] }, signal)).succeeded;
  }

  #contextOf(installation: string): KeyContext {
    return { ...this.#plan.context, "millrace-installation": installation };
  }
}

function refused(reason: string): KeyFailure {
  return { kind: "refused", reason, remedy: "" };
}
