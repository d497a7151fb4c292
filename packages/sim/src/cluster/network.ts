// The network between the hosts of a cluster. A stream is a pair of directions, each in order; streams overtake each
// other. What fails is what TCP lets fail, and no more:
//
//   cut        one direction of a link: what is sent waits, and comes late when the link heals, unless an end has given
//              the stream up first, which each end does in its own time
//   slow       a link takes many times as long
//   killed     the process at an end has gone: its streams are reset, new ones are refused
//   powerless  the host is down: nothing answers until it is up again
import { assert, WireError, type Random } from "@millrace/base";
import type { Agenda } from "@millrace/base/testkit";
import type { SimProcess } from "./sim-process.ts";

export interface Host {
  readonly name: string;
  /** Listens, or will. */
  process: SimProcess | undefined;
  /** Whether the process takes streams by now. */
  isListening: boolean;
  /** Whether there is power. */
  isUp: boolean;
}

/** Why a stream broke. `refused`: certainly nobody saw anything of it. */
export type Breakage = "refused" | "reset" | "lost";

export interface NetworkOptions {
  readonly agenda: Agenda;
  readonly random: Random;
  readonly note: (what: string, detail: string) => void;
}

/** Milliseconds that a message takes on a healthy link. */
const LATENCY_MS = { min: 0.1, spread: 1.5 };
/** After such a time an end gives a stream up whose other end does not answer: brokers and clients of etcd ask. */
const PATIENCE_MS = { min: 2000, spread: 2500 };
const ETCD_PATIENCE_MS = { min: 10_000, spread: 6000 };

export class Network {
  readonly hosts = new Map<string, Host>();
  readonly #options: NetworkOptions;
  /** `from>to` */
  readonly #cuts = new Set<string>();
  readonly #slow = new Map<string, number>();
  readonly #streams = new Set<Stream>();

  constructor(options: NetworkOptions) {
    this.#options = options;
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  addHost(name: string): Host {
    const host: Host = { name, process: undefined, isListening: false, isUp: true };
    this.hosts.set(name, host);
    return host;
  }

  host(name: string): Host {
    const host = this.hosts.get(name);
    assert(host !== undefined, "a host is known", { name });
    return host;
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  cut(from: string, to: string): void {
    if (this.isCut(from, to)) return;
    this.#cuts.add(`${from}>${to}`);
    this.#options.note("link cut", `${from} > ${to}`);
    for (const stream of this.#streams) if (stream.joins(from, to)) stream.onCut();
  }

  mend(from: string, to: string): void {
    if (!this.#cuts.delete(`${from}>${to}`)) return;
    this.#options.note("link mended", `${from} > ${to}`);
    for (const stream of [...this.#streams]) if (stream.joins(from, to)) stream.onMended();
  }

  /** @param factor how many times as long each message takes */
  slowDown(from: string, to: string, factor: number): void {
    if (factor === 1) this.#slow.delete(`${from}>${to}`);
    else this.#slow.set(`${from}>${to}`, factor);
  }

  heal(): void {
    for (const link of [...this.#cuts]) this.mend(...(link.split(">") as [string, string]));
    this.#slow.clear();
  }

  /** The process of `host` has gone: its peers are told, unless the power has gone with it. */
  ended(host: Host, process: SimProcess): void {
    for (const stream of [...this.#streams]) stream.onEnded(host, process);
  }

  /** Power is back at `host`. */
  powered(host: Host): void {
    for (const stream of [...this.#streams]) stream.onPower(host);
  }

  /** A stream from a process to whatever listens at `to`. */
  open(from: SimProcess, to: string): Stream {
    const stream = new Stream(this, this.#options, from, this.host(to));
    this.#streams.add(stream);
    return stream;
  }

  forget(stream: Stream): void {
    this.#streams.delete(stream);
  }

  delayMs(from: string, to: string): number {
    const ms = LATENCY_MS.min + (this.#options.random.below(1000) / 1000) * LATENCY_MS.spread;
    return from === to ? LATENCY_MS.min : ms * (this.#slow.get(`${from}>${to}`) ?? 1);
  }
}

interface End {
  readonly host: Host;
  /** Undefined: nothing has arrived at the listener yet. */
  process: SimProcess | undefined;
  /** When the newest message that was sent to this end arrives. */
  arrivesMs: number;
  /** On its way to this end, in order. */
  readonly coming: (() => void)[];
  /** How many of them wait for a cut link. */
  held: number;
  /** A reset waits for a cut link. */
  heldBreak: Breakage | undefined;
  onBroken: ((why: Breakage) => void) | undefined;
  isOver: boolean;
}

/** End 0 has opened it, end 1 listens. */
export class Stream {
  readonly #network: Network;
  readonly #options: NetworkOptions;
  readonly #ends: readonly [End, End];

  constructor(network: Network, options: NetworkOptions, from: SimProcess, to: Host) {
    this.#network = network;
    this.#options = options;
    this.#ends = [newEnd(network.host(from.host), from), newEnd(to, undefined)];
  }

  /** Called at `side`, once, when the stream breaks there; nothing comes to that side afterwards. */
  onBroken(side: 0 | 1, listener: (why: Breakage) => void): void {
    this.#ends[side].onBroken = listener;
  }

  /** `run` happens at the other side of `side`. */
  send(side: 0 | 1, run: () => void): void {
    const [to, from] = [this.#otherOf(side), this.#ends[side]];
    if (to.isOver || from.isOver) return;
    to.coming.push(run);
    this.#comeSoon(from, to);
  }

  /** This side needs it no more; what it has sent arrives all the same. */
  close(side: 0 | 1): void {
    this.#over(this.#ends[side]);
  }

  joins(a: string, b: string): boolean {
    const [{ host: first }, { host: second }] = this.#ends;
    return (first.name === a && second.name === b) || (first.name === b && second.name === a);
  }

  onCut(): void {
    this.#giveUpInTime();
  }

  onMended(): void {
    for (const side of [0, 1] as const) {
      const [to, from] = [this.#ends[side], this.#otherOf(side)];
      if (this.#network.isCut(from.host.name, to.host.name)) continue;
      for (; to.held > 0; to.held--) this.#comeSoon(from, to);
      if (to.heldBreak !== undefined) this.#breakSoon(to, from, to.heldBreak);
      to.heldBreak = undefined;
    }
  }

  onEnded(host: Host, process: SimProcess): void {
    for (const side of [0, 1] as const) {
      const [end, other] = [this.#ends[side], this.#otherOf(side)];
      if (end.process !== process) continue;
      this.#over(end);
      if (other.isOver) continue;
      if (host.isUp) this.#breakSoon(other, end, "reset");
      else this.#giveUpInTime();
    }
  }

  /** Nobody there knows of streams from before. */
  onPower(host: Host): void {
    for (const side of [0, 1] as const) {
      const [end, other] = [this.#ends[side], this.#otherOf(side)];
      if (end.host !== host || other.isOver) continue;
      if (end.isOver) this.#breakSoon(other, end, "reset");
      else if (end.process === undefined) {
        // What is still on its way comes to a host that has refused the stream.
        this.#over(end);
        this.#breakSoon(other, end, "refused");
      }
    }
  }

  #otherOf(side: 0 | 1): End {
    return this.#ends[side === 0 ? 1 : 0];
  }

  #comeSoon(from: End, to: End): void {
    const { agenda } = this.#options;
    const delayMs = this.#network.delayMs(from.host.name, to.host.name);
    to.arrivesMs = Math.max(to.arrivesMs, agenda.nowMs + delayMs);
    agenda.schedule(to.arrivesMs - agenda.nowMs, () => {
      if (!this.#network.isCut(from.host.name, to.host.name)) {
        this.#arrive(to);
        return;
      }
      if (to.held++ === 0) this.#giveUpInTime();
    });
  }

  #arrive(to: End): void {
    const run = to.coming.shift();
    if (run === undefined || to.isOver) return;
    if (to.process === undefined && !this.#accept(to)) return;
    to.process!.enter(() => {
      if (!to.isOver) run();
    });
  }

  /** The first message has come to the listener's host. */
  #accept(to: End): boolean {
    const { host } = to;
    if (!host.isUp) {
      this.#giveUpInTime();
      return false;
    }
    if (host.process === undefined || !host.isListening) {
      this.#over(to);
      this.#breakSoon(this.#ends[0], to, "refused");
      return false;
    }
    to.process = host.process;
    return true;
  }

  /** Who hears nothing gives up some time. */
  #giveUpInTime(): void {
    for (const side of [0, 1] as const) {
      const [end, other] = [this.#ends[side], this.#otherOf(side)];
      this.#afterPatience(end, () => !this.#hears(end, other));
    }
  }

  #afterPatience(end: End, isSilent: () => boolean): void {
    if (end.isOver) return;
    const { agenda, random } = this.#options;
    const isEtcd = this.#ends.some(({ host }) => host.name === "etcd");
    const { min, spread } = isEtcd ? ETCD_PATIENCE_MS : PATIENCE_MS;
    agenda.schedule(min + random.below(spread), () => {
      if (isSilent()) this.#break(end, "lost");
    });
  }

  #hears(end: End, other: End): boolean {
    const [a, b] = [end.host.name, other.host.name];
    return !this.#network.isCut(a, b) && !this.#network.isCut(b, a) && other.host.isUp;
  }

  /** The other end's host answers that there is no such stream, as soon as it can. */
  #breakSoon(end: End, from: End, why: Breakage): void {
    const { agenda } = this.#options;
    agenda.schedule(this.#network.delayMs(from.host.name, end.host.name), () => {
      if (!this.#network.isCut(from.host.name, end.host.name)) {
        this.#break(end, why);
        return;
      }
      end.heldBreak = why;
      this.#giveUpInTime();
    });
  }

  #break(end: End, why: Breakage): void {
    if (end.isOver) return;
    this.#over(end);
    end.process?.enter(() => end.onBroken?.(why));
    // The other one asks in vain from now on, whatever becomes of the link.
    const other = end === this.#ends[0] ? this.#ends[1] : this.#ends[0];
    this.#afterPatience(other, () => true);
  }

  #over(end: End): void {
    end.isOver = true;
    if (this.#ends.every(({ isOver }) => isOver)) this.#network.forget(this);
  }
}

function newEnd(host: Host, process: SimProcess | undefined): End {
  return {
    host,
    process,
    arrivesMs: 0,
    coming: [],
    held: 0,
    heldBreak: undefined,
    onBroken: undefined,
    isOver: false,
  };
}

/** What a caller is told of a stream that broke before its answer. */
export function brokenError(why: Breakage, to: string): WireError {
  const text = why === "refused" ? "connection refused" : why === "reset" ? "connection reset" : "timed out";
  return new WireError("UNAVAILABLE", `${to}: ${text}`, { facts: { why } });
}
