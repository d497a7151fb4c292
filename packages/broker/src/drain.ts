// A broker that is asked to leave (durability.md D14): it announces that it exits, the allocator gives its journals to
// others, and it waits for what it alone still holds to be in a store, or on every member that goes on.
//
//   serving ──► draining ◄──► drained
//
//  X1  Only what the store shows decides: no journal is assigned here, and no list of holders names this directory.
//  X2  Where the others have no room for all of its journals the drain does not end. Who merely restarts a broker goes
//      on without (`outcome`) once the others have all they have room for, and what it holds is waited for when it is
//      back; but not as long as it is the only live member with bytes of a journal that could stay where others live.
//      Of what is on its way to a store the last piece is brought there as the broker closes (last-persist.ts).
//  X3  While it waits it serves, leads if it did, and says for what it waits.
//  X4  What is drained drains again when a journal is assigned to it: the others may have no room for all any more.
//  X5  Where the store takes no announcement (it has an alarm, say), that is tried again and told; what has nothing to
//      leave here needs none.
import { Gate, unreachable, waitUntil, WireError, type Clock, type Gauge, type Logger } from "@millrace/base";
import type { Session } from "@millrace/metadata";
import { encodeBrokerSpec, memberKey, type BrokerSpec } from "@millrace/protocol";
import type { AllocationView } from "./allocation-view.ts";
import type { BrokerKeyspace } from "./broker-keyspace.ts";
import { changeWithin } from "./gate-timeout.ts";
import { NO_ROOM_ASKED, roomFor, type DrainRoom, type NeededBrokers } from "./drain-room.ts";
import type { HoldersStore } from "./holders-store.ts";
import { memberName } from "./journal-table.ts";
import { DRAIN_LINGER_MS, DRAIN_LOOK_MS, DRAIN_NAMES_MAX, DRAIN_WORDS_MAX } from "./limits.ts";

export interface DrainProgress {
  readonly state: "serving" | "draining" | "drained";
  /** Journals that are assigned here. */
  readonly assigned: number;
  /** Of those, how many the other brokers have no room for. */
  readonly withoutRoom: number;
  /** Of those, some that want more brokers than are left. */
  readonly needs: readonly NeededBrokers[];
  /** Journals with bytes here of which no other member that is up has all; known once nothing else is handed over. */
  readonly onlyHere: number;
  readonly onlyHereJournals: readonly string[];
  /** Journals of which this broker holds what is not known to be elsewhere, and the names of some. */
  readonly held: number;
  readonly heldJournals: readonly string[];
  /** Closed fragments that wait for their stores. */
  readonly backlogBytes: number;
  /** In words. Empty when nothing is waited for. */
  readonly waitsFor: readonly string[];
  /** Somebody said not to wait any more. */
  readonly isForced: boolean;
}

/** `forced`: and what `progress` shows stays behind; `no-room`: X2. */
export type DrainOutcome = "drained" | "forced" | "no-room";

/** What is here of a journal: `store` goes to a store as the broker closes, nothing else holds it up. */
export type BytesHere = "none" | "store" | "kept";

export interface DrainPorts {
  readonly session: Session;
  readonly keyspace: BrokerKeyspace;
  /** As announced. */
  readonly self: BrokerSpec;
  /** Undefined: nobody else is there to leave anything to, and to be drained is nothing but to stop. */
  readonly lists: HoldersStore | undefined;
  readonly view: () => AllocationView;
  readonly assigned: () => number;
  readonly bytesOf: (journal: string) => BytesHere;
  readonly backlogBytes: () => number;
  /** From now on what is closed is persisted at once, also what another broker would persist in a while. */
  readonly hurry: () => void;
  readonly waiting: Gauge;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Seen {
  readonly assigned: number;
  readonly room: DrainRoom;
  /** Undefined: not asked for yet. */
  readonly held: readonly string[] | undefined;
  /** Undefined: not asked for, since there is something to hand over. */
  readonly onlyHere: readonly string[] | undefined;
}

export class Drain {
  readonly #ports: DrainPorts;
  readonly #changed = new Gate();
  #state: DrainProgress["state"] = "serving";
  #isForced = false;
  #seen: Seen = { assigned: 0, room: NO_ROOM_ASKED, held: undefined, onlyHere: undefined };
  #said = "";
  #saidMs = Number.NEGATIVE_INFINITY;
  #view: AllocationView | undefined;
  /** Why the store did not take the announcement; empty: it did, or was not asked. */
  #unannounced = "";

  constructor(ports: DrainPorts) {
    this.#ports = ports;
  }

  /** Whether there may be others to leave anything to. */
  get canLeave(): boolean {
    return this.#ports.lists !== undefined;
  }

  get progress(): DrainProgress {
    const { room, held = [], onlyHere = [] } = this.#seen;
    const assigned = this.#ports.assigned();
    return {
      state: this.#state,
      assigned,
      withoutRoom: room.withoutRoom,
      needs: room.needs.slice(0, DRAIN_NAMES_MAX),
      onlyHere: onlyHere.length,
      onlyHereJournals: onlyHere.slice(0, DRAIN_NAMES_MAX),
      held: held.length,
      heldJournals: held.slice(0, DRAIN_NAMES_MAX),
      backlogBytes: this.#ports.backlogBytes(),
      waitsFor: this.#state === "draining" ? waitsFor({ ...this.#seen, assigned }, this.#unannounced) : [],
      isForced: this.#isForced,
    };
  }

  /** What stands against being ready. */
  unready(): string | undefined {
    switch (this.#state) {
      case "serving":
        return undefined;
      case "draining":
        return ["the broker drains", ...this.progress.waitsFor].join("; ");
      case "drained":
        return "the broker is drained";
      default:
        return unreachable(this.#state);
    }
  }

  /** Begins, and does nothing when it has begun. `run` does the rest. */
  begin(): void {
    if (this.#state !== "serving") return;
    this.#state = "draining";
    this.#ports.logger.info("drain-began", { assigned: this.#ports.assigned() });
    this.#changed.open();
  }

  /** Whoever waits for the drain waits no more. */
  force(): void {
    this.begin();
    if (this.#isForced) return;
    this.#isForced = true;
    if (this.#state !== "drained") {
      const { assigned, onlyHere, onlyHereJournals, held, heldJournals, backlogBytes } = this.progress;
      const left = { assigned, onlyHere, onlyHereJournals, held, heldJournals, backlogBytes };
      this.#ports.logger.warn("drain-leaves-behind", left);
    }
    this.#changed.open();
  }

  /** Begins, and resolves at its end, when it is forced, or when it cannot end (X2). */
  async outcome(signal: AbortSignal): Promise<DrainOutcome> {
    this.begin();
    await waitUntil(this.#changed, () => this.#outcome() !== undefined, signal);
    return this.#outcome()!;
  }

  #outcome(): DrainOutcome | undefined {
    if (this.#state === "drained") return "drained";
    if (this.#isForced) return "forced";
    const { assigned, onlyHere } = this.#seen;
    const isStuck = assigned > 0 && onlyHere !== undefined; // X2
    return isStuck && (this.#others().size === 0 || !this.#isAwaited(onlyHere)) ? "no-room" : undefined;
  }

  /** What is left behind for the stores to have as far as they can. */
  get leftOver(): readonly string[] {
    return this.#isForced || this.#state !== "draining" ? [] : (this.#seen.onlyHere ?? []);
  }

  #isAwaited(onlyHere: readonly string[]): boolean {
    return onlyHere.some((journal) => this.#ports.bytesOf(journal) === "kept");
  }

  /** Names of the other members, with their data directories. */
  #others(): ReadonlyMap<string, string> {
    const own = memberName(this.#ports.self.id);
    const all = [...this.#ports.keyspace.table.members()].map(
      ({ spec }) => [memberName(spec.id), spec.holder] as const,
    );
    return new Map(all.filter(([name]) => name !== own));
  }

  /** Does it, once it has begun, and again (X4), until `signal` aborts; alone, until it has ended. */
  async run(signal: AbortSignal): Promise<void> {
    await waitUntil(this.#changed, () => this.#state === "draining", signal);
    if (this.#ports.lists === undefined) {
      this.#end();
      return;
    }
    const { keyspace, assigned, clock } = this.#ports;
    this.#ports.hurry();
    for (;;) {
      await this.#announce(signal); // X5
      await this.#look(this.#ports.lists, signal);
      this.#changed.open();
      if (this.#seen.held?.length === 0) {
        this.#end();
        while (assigned() === 0) await changeWithin(keyspace.changed, DRAIN_LOOK_MS, clock, signal);
        this.#goOn(); // X4
        continue;
      }
      this.#say();
      await this.#pause(signal);
    }
  }

  /** Journals leave one by one: changes gather for a moment. */
  async #pause(signal: AbortSignal): Promise<void> {
    const { keyspace, clock } = this.#ports;
    if (this.#seen.assigned === 0) return clock.sleep(DRAIN_LOOK_MS, signal);
    await changeWithin(keyspace.changed, DRAIN_LOOK_MS, clock, signal);
    await clock.sleep(DRAIN_LINGER_MS, signal);
  }

  #end(): void {
    this.#state = "drained";
    this.#ports.waiting.set(0, { reason: "assigned" });
    this.#ports.waiting.set(0, { reason: "held" });
    this.#ports.logger.info("drain-ended", {});
    this.#changed.open();
  }

  #goOn(): void {
    this.#state = "draining";
    this.#said = "";
    this.#ports.logger.warn("drain-goes-on", { assigned: this.#ports.assigned() });
    this.#changed.open();
  }

  /** Rewrites the member key. Whatever else changed there was written by this broker's own announcement. */
  async #announce(signal: AbortSignal): Promise<void> {
    const { session, keyspace, self, logger } = this.#ports;
    const member = keyspace.table.member(self.id);
    if (member === undefined || member.spec.exiting) return;
    const value = encodeBrokerSpec({ ...self, exiting: true });
    try {
      const revision = await session.update(
        memberKey(keyspace.root, self.id),
        value,
        member.modRevision,
        signal,
      );
      await keyspace.waitForRevision(revision, signal);
      this.#unannounced = "";
    } catch (thrown) {
      signal.throwIfAborted();
      const { message } = WireError.from(thrown);
      if (message !== this.#unannounced) logger.warn("drain-not-announced", { error: message });
      this.#unannounced = message;
    }
  }

  async #look(lists: HoldersStore, signal: AbortSignal): Promise<void> {
    const { assigned: count, bytesOf, waiting, logger, self } = this.#ports;
    let held: readonly string[] | undefined;
    let onlyHere: readonly string[] | undefined;
    try {
      if (count() === 0) held = await lists.namedBy(self.holder, signal);
      else if (count() <= this.#room().withoutRoom) {
        const others = new Set(this.#others().values());
        const alone = await lists.heldOnlyBy(self.holder, others, signal);
        onlyHere = alone.filter((journal) => bytesOf(journal) !== "none");
      }
    } catch (error) {
      signal.throwIfAborted();
      held = this.#seen.held?.length === 0 ? undefined : this.#seen.held;
      logger.warn("drain-cannot-look", { error: WireError.from(error).message });
    }
    // An assignment may have come while the lists were read.
    if (count() > 0) held = undefined;
    const room = this.#room();
    if (count() > room.withoutRoom) onlyHere = undefined;
    this.#seen = { assigned: count(), room, held, onlyHere };
    waiting.set(this.#seen.assigned, { reason: "assigned" });
    waiting.set(held?.length ?? 0, { reason: "held" });
  }

  /** What the allocator leaves to this broker although it is exiting: nobody knows before it has announced that. */
  #room(): DrainRoom {
    if (this.#ports.assigned() === 0 || this.#unannounced !== "") return NO_ROOM_ASKED;
    const directories = this.#others();
    const keepsLists = (member: string): boolean => directories.get(member) !== "";
    const snapshot = (this.#view ??= this.#ports.view()).snapshot();
    return roomFor(snapshot, memberName(this.#ports.self.id), keepsLists);
  }

  #say(): void {
    const { waitsFor: words } = this.progress;
    const text = words.join("; ");
    const nowMs = this.#ports.clock.monotonicMs();
    if (text === this.#said || nowMs < this.#saidMs + DRAIN_LOOK_MS) return;
    this.#said = text;
    this.#saidMs = nowMs;
    this.#ports.logger.info("drain-waits", { for: text });
  }
}

function waitsFor({ assigned, room, held, onlyHere }: Seen, unannounced: string): readonly string[] {
  const words: string[] = [];
  if (unannounced !== "") words.push(`etcd to take the news that it leaves (${unannounced})`);
  if (assigned > 0) words.push(`${journals(assigned)} assigned here`, ...reasons(room));
  if (onlyHere !== undefined && onlyHere.length > 0)
    words.push(`${journals(onlyHere.length)} with bytes that no other broker has: ${some(onlyHere)}`);
  if (held !== undefined && held.length > 0)
    words.push(`${journals(held.length)} with bytes here that no store, and not all of its brokers, have`);
  return words;
}

/** Why others do not take what is assigned here. */
function reasons({ withoutRoom, needs, isGazettes }: DrainRoom): readonly string[] {
  const words: string[] = [];
  const [first] = needs;
  if (first !== undefined && needs.length === 1)
    words.push(`${first.journal} needs ${first.brokers} brokers`);
  else if (needs.length > 1) {
    const each = needs.map(({ journal, brokers }) => `${journal} (${brokers})`);
    words.push(`${journals(needs.length)} need more brokers than are left: ${some(each)}`);
  }
  const others = withoutRoom - needs.length;
  if (others <= 0) return words;
  const isForGazettes = isGazettes && needs.length > 0;
  const why = isForGazettes
    ? `a broker of Gazette's, which leads, hands over none of ${journals(others)} until then`
    : `the other brokers have no room for ${journals(others)}`;
  return [...words, why];
}

function some(names: readonly string[]): string {
  const more = names.length - DRAIN_WORDS_MAX;
  return names.slice(0, DRAIN_WORDS_MAX).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

function journals(count: number): string {
  return count === 1 ? "1 journal" : `${count} journals`;
}

/** Drains as long as `signal` allows; then says what it leaves behind. */
export async function drainWhile(drain: Drain, signal: AbortSignal): Promise<DrainOutcome> {
  try {
    return await drain.outcome(signal);
  } catch {
    drain.force();
    return "forced";
  }
}
