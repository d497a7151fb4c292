// A world without chance of faults, and a platform in it that a scenario leads step by step. Every start compares what
// is there with what is known.
import assert from "node:assert/strict";
import { utf8, type Random } from "@millrace/base";
import { prepareCodecs } from "@millrace/fragments";
import { checkAll, checkJournals, untilNothingWaits } from "../checks.ts";
import type { Shift } from "../shift.ts";
import { openNode, type Node } from "../node.ts";
import { CALM, NO_CONTROLS, type Controls, type Swarm } from "../options.ts";
import type { Process } from "../process.ts";
import type { RawJournal } from "../raw-journal.ts";
import { appendRaw, type AppendResult } from "../raw-journals.ts";
import { sendBatch } from "../senders.ts";
import { World } from "../world.ts";

await prepareCodecs();

export class Stage {
  readonly world: World;
  readonly random: Random;
  #lives = 0;
  #records = 0;
  #node: Node | undefined;
  #shift: Shift & { isDead: boolean } = { name: "stage", isOver: false, isDead: false };

  constructor(seed: string, swarm: Partial<Swarm> = {}, controls: Controls = NO_CONTROLS) {
    this.world = new World(seed, controls, { ...CALM, ...swarm });
    this.random = this.world.random.fork("stage");
  }

  get node(): Node {
    assert.ok(this.#node !== undefined, "a process runs");
    return this.#node;
  }

  get journal(): RawJournal {
    return this.world.journals[0]!;
  }

  /** Begins the next life, whose recovery is then up to the scenario. */
  begin(): { process: Process; opening: Promise<Node> } {
    const number = this.#lives++;
    const process = this.world.begin(number);
    this.#shift = { name: `stage ${number}`, isOver: false, isDead: false };
    const opening = openNode(this.world, process);
    opening.catch(() => undefined);
    return { process, opening };
  }

  /** The next life, recovered and found to have everything. */
  async start(): Promise<Node> {
    const node = await this.startUnchecked();
    await checkAll(this.world, node);
    return node;
  }

  async startUnchecked(): Promise<Node> {
    this.#node = await this.finish(this.begin().opening);
    return this.#node;
  }

  finish<T>(work: Promise<T>): Promise<T> {
    return this.world.finish("a step of the scenario", work);
  }

  /** Appends and waits for the answer. */
  append(text: string, journal = this.journal): Promise<AppendResult> {
    return this.finish(this.appending(text, journal));
  }

  /** Appends; whether and when time passes is up to the scenario. */
  appending(text: string, journal = this.journal): Promise<AppendResult> {
    return appendRaw(this.world, this.node, journal, utf8(text), this.#shift);
  }

  /** Sends records and waits for the answers. */
  send(count: number): Promise<void> {
    return this.finish(this.sending(count));
  }

  sending(count: number): Promise<void> {
    const ids = Array.from({ length: count }, () => `record ${this.#records++}`);
    return sendBatch(this.world, this.node, ids, this.random, this.#shift);
  }

  pass(ms: number): Promise<void> {
    return this.world.passTime(ms);
  }

  kill(): void {
    this.#end("kill");
  }

  crash(): void {
    this.#end("crash");
  }

  /** Graceful stop with every row loaded. */
  async close(): Promise<void> {
    await this.finish(this.node.close(this.node.process.signal));
    this.#end("kill");
  }

  /** Everything heals, and everything that was acknowledged is there. */
  async end(): Promise<void> {
    this.world.heal();
    if (this.world.process === undefined) await this.start();
    await checkJournals(this.world, this.node);
    await untilNothingWaits(this.world, this.node);
    await this.close();
    this.world.check();
    for (const ledger of this.world.ledgers.values()) ledger.checkWhole();
  }

  #end(how: "kill" | "crash"): void {
    this.#shift.isDead = true;
    for (const journal of this.world.rawJournals) journal.loseAll();
    for (const ledger of this.world.ledgers.values()) ledger.loseAll();
    this.#node = undefined;
    this.world.end(how);
  }
}
