// A machine of the cluster: its disk, what its data directory remembers, and the process of a broker there, if one
// runs. A process that cannot go on, or does not start, is started again after a while, as its service manager does.
import {
  assert,
  CODES,
  MetricsRegistry,
  never,
  WireError,
  type Clock,
  type Code,
  type Logger,
  type LogFields,
  type LogLevel,
  type Random,
} from "@millrace/base";
import { drainWhile, openBroker, type Broker, type PeerNetwork } from "@millrace/broker";
import { inlineCodecs, openSpools, SPOOL_DEFAULTS, type Spool, type Spools } from "@millrace/fragments";
import { objectStores } from "@millrace/stores";
import { SimulatedDisk } from "@millrace/wal/testkit";
import type { ClusterWorld } from "./cluster-world.ts";
import { hastyNetwork, stubbornNetwork, unjudgedSpools, unwillingSpools } from "./cluster-controls.ts";
import type { Host } from "./network.ts";
import { replaced } from "../replaced.ts";
import { remotePeers, type Served } from "./remote-peers.ts";
import { SimProcess } from "./sim-process.ts";

/** How a process ends: by itself or by SIGKILL, or with its machine's power. */
export type Ending = "kill" | "power";

const RESTART_MS = { min: 200, spread: 4000 };
/** As long as a service manager waits before it says that it waits no more. */
const LEAVE_MS = 10_000;
/** A failed sync must have ended the process within this time (D5). */
const ENDS_MS = 5000;

/** What a data directory remembers of itself. */
interface DirectoryState {
  readonly number: number;
  /** How often it got another id. */
  renewals: number;
  /** Of its last life. */
  lease: bigint | undefined;
}

export class Machine {
  readonly name: string;
  readonly zone: string;
  readonly host: Host;
  disk: SimulatedDisk;
  process: SimProcess | undefined;
  /** Undefined while it starts. */
  broker: Broker | undefined;
  /** What the broker has of each journal. */
  readonly spools = new Map<string, Spool>();
  /** Times what the disk does by this. */
  diskSlowness = 1;
  /** Nobody starts it again by himself. */
  isHeldDown = false;
  /** Starts that were refused, because the disk is not mounted. */
  startsRefused = 0;
  readonly #world: ClusterWorld;
  readonly #random: Random;
  #lives = 0;
  #disks = 0;
  #directory: DirectoryState = { number: 0, renewals: 0, lease: undefined };
  /** What is not mounted: an empty directory is in its place. */
  #away: { readonly disk: SimulatedDisk; readonly directory: DirectoryState } | undefined;
  /** Somebody has said that the disk before is lost. */
  #mayReplace = false;
  #opened: Spools | undefined;
  #skewMs = 0;
  #syncFailed = false;

  constructor(world: ClusterWorld, name: string, zone: string) {
    this.#world = world;
    this.#random = world.random.fork(name);
    this.name = name;
    this.zone = zone;
    this.host = world.network.addHost(name);
    this.disk = this.#newDisk("disk");
  }

  /** Id of the data directory. */
  get holder(): string {
    const { number, renewals } = this.#directory;
    return `disk-of-${this.name}${number === 0 ? "" : `.${number}`}${"+".repeat(renewals)}`;
  }

  get isServing(): boolean {
    return this.broker !== undefined;
  }

  get served(): Served {
    const { broker } = this;
    if (broker === undefined) throw new WireError("UNAVAILABLE", `${this.name} is starting`);
    assert(broker.peers !== undefined, "a broker with a network serves its peers");
    return { transport: broker.transport, peers: broker.peers };
  }

  skewClock(ms: number): void {
    this.#skewMs += ms;
    this.process?.skew(ms);
  }

  /** Starts a process. */
  start(): void {
    const world = this.#world;
    if (this.process !== undefined) return;
    if (!this.host.isUp) {
      this.host.isUp = true;
      world.network.powered(this.host);
    }
    const name = `${this.name}/${this.#lives++}`;
    const process = new SimProcess(world.agenda, this.name, name, world.epochMs + this.#skewMs);
    this.process = this.host.process = process;
    this.#syncFailed = false;
    world.trace.add(`${name} starts`);
    this.#open(process).then(
      (broker) => {
        if (this.process !== process) return;
        this.broker = broker;
        world.trace.add(`${name} serves`);
      },
      (error: unknown) => this.#failed(process, error),
    );
  }

  /** The process is gone. @param restart whether it comes back by itself */
  end(how: Ending, restart = true): void {
    const { process } = this;
    if (process === undefined) return;
    this.#world.note(how === "power" ? "power cut" : "killed", process.name);
    process.end();
    this.process = this.host.process = this.broker = undefined;
    this.host.isListening = false;
    this.spools.clear();
    this.disk.failSync(() => false);
    this.disk.failWrite(() => false);
    if (how === "power") {
      this.host.isUp = false;
      this.disk.crash();
    } else this.disk.kill();
    this.#world.network.ended(this.host, process);
    if (restart) this.#startLater();
  }

  /** The machine gets an empty disk, and whoever starts there a data directory that nobody knows, as he is told. */
  loseDisk(): void {
    this.#world.note("disk lost", this.holder);
    this.#mayReplace = true;
    this.#takeEmptyDisk();
  }

  /** Whoever starts here finds an empty directory, and is not told. */
  unmount(): void {
    this.#world.note("disk unmounted", this.holder);
    this.#mayReplace = false;
    this.#away = { disk: this.disk, directory: this.#directory };
    this.#takeEmptyDisk();
  }

  /** The disk is there again. */
  mount(): void {
    const away = this.#away;
    assert(this.process === undefined && away !== undefined, "what is not there is mounted, and nobody runs");
    [this.disk, this.#directory, this.#away] = [away.disk, away.directory, undefined];
    this.#world.note("disk mounted", this.holder);
  }

  #takeEmptyDisk(): void {
    assert(this.process === undefined, "the disk of a running process is not taken out");
    this.#disks++;
    this.disk = this.#newDisk(`disk ${this.#disks}`);
    this.#directory = { number: this.#disks, renewals: 0, lease: undefined };
  }

  /** Graceful end, as after SIGTERM; resolves when the process has gone. */
  async stop(restart: boolean): Promise<void> {
    const { process, broker } = this;
    if (process === undefined || broker === undefined) return;
    this.#world.note("stopped", process.name);
    await drainWhile(broker.drain, within(process.clock, LEAVE_MS));
    // Where the store is away the lease ends by itself; the process does so in any case.
    await broker.close().catch((error: unknown) => {
      if (CODES[WireError.from(error).code].retry === "never") throw error;
    });
    await this.#opened!.close();
    if (this.process === process) this.end("kill", restart);
  }

  /** Leaves the cluster for good: resolves when the process has gone (D14). */
  async drain(): Promise<void> {
    this.isHeldDown = true;
    await this.broker!.drain.outcome(never);
    await this.stop(false);
  }

  /** The next sync fails; the process has to end. */
  failSync(): void {
    const { process } = this;
    this.disk.failSync((path) => {
      if (this.process !== process || process === undefined) return false;
      this.#world.note("sync failed", `${process.name} ${path}`);
      this.#syncFailed = true;
      this.#world.agenda.schedule(ENDS_MS, () => {
        if (this.process === process && !process.isPaused) {
          this.#world.fail(new Error(`the sync of ${path} failed and ${process.name} goes on`));
        }
      });
      return true;
    });
  }

  #newDisk(label: string): SimulatedDisk {
    const { agenda, controls } = this.#world;
    return new SimulatedDisk({
      // What the machine does waits while its process is paused.
      schedule: (ms, run) => {
        const { process } = this;
        agenda.schedule(ms, () => process?.enter(run));
      },
      random: this.#random.fork(label),
      delayMs: (random) => (0.05 + random.below(200) / 1000) * this.diskSlowness,
      withoutSync: controls.withoutSync,
    });
  }

  async #open(process: SimProcess): Promise<Broker> {
    const world = this.#world;
    const { swarm, controls } = world;
    const { lease } = this.#directory;
    const never = new AbortController().signal;
    const random = this.#random.fork(process.name);
    const disk = this.disk.open();
    const onFatal = (error: WireError): void => this.#failed(process, error);
    const metrics = new MetricsRegistry();
    const logger = tracing(world, process.name);
    const ports = { clock: process.clock, random, logger, metrics, onFatal, disk };
    const opened = await openSpools(ports, spoolOptions(swarm), never);
    this.#opened = opened;
    const copying = controls.withoutCopying ? unwillingSpools(opened) : opened;
    const spools = this.#observed(controls.withoutJudging ? unjudgedSpools(copying) : copying);
    // Brokers listen before they announce.
    this.host.isListening = true;
    const calls = { network: world.network, from: process, fail: (error: unknown) => world.fail(error) };
    const peers = remotePeers({
      ...calls,
      served: (host) => world.machine(host).served,
      trace: (line) => world.trace.add(`${process.name} ${line}`),
    });
    const broker = await openBroker(
      {
        ...ports,
        spools,
        stores: process.stores(objectStores({ file: (url) => world.store(url) })),
        coordination: world.coordination.port(calls),
        codecs: inlineCodecs,
        network: this.#controlled(peers, process),
      },
      {
        id: { zone: this.zone, suffix: this.name },
        endpoint: `http://${this.name}:8080`,
        holder: this.holder,
        renewHolder: () => {
          world.note("directory renewed", this.holder);
          this.#directory.renewals++;
          return this.holder;
        },
        holderPlace: { host: this.name, path: "/disk/data", mount: "/disk", mayReplace: this.#mayReplace },
        leaseSeconds: swarm.leaseSeconds,
        ...(lease === undefined ? {} : { previousLease: lease }),
        onFatal,
      },
      never,
    );
    this.#directory.lease = broker.lease;
    return broker;
  }

  #controlled(peers: PeerNetwork, { clock }: SimProcess): PeerNetwork {
    const { withoutLastReplica, withoutRouteCheck } = this.#world.controls;
    if (withoutLastReplica) return hastyNetwork(peers, clock);
    return withoutRouteCheck ? stubbornNetwork(peers, clock) : peers;
  }

  /** A process says that it cannot go on. */
  #failed(process: SimProcess, error: unknown): void {
    if (this.process !== process) return;
    const { code, message } = WireError.from(error);
    this.#world.note(`ended itself ${code}`, `${process.name}: ${message}`);
    if (this.#isRefused(code)) this.startsRefused++;
    if (!this.#mayEnd(code, message)) this.#world.fail(error);
    this.end("kill");
  }

  /** What a process may end itself for: a failed sync, a lost lease, and at its start whatever passes. */
  #mayEnd(code: Code, message: string): boolean {
    if (this.#syncFailed || this.#world.controls.withoutSync) return true;
    if (this.broker === undefined) return this.#isRefused(code) || CODES[code].retry !== "never";
    return message.includes("lease") || message.includes("member key not found");
  }

  #isRefused(code: Code): boolean {
    return this.broker === undefined && this.#away !== undefined && code === "CONFLICT";
  }

  #startLater(): void {
    this.#world.agenda.schedule(RESTART_MS.min + this.#random.below(RESTART_MS.spread), () => {
      if (!this.isHeldDown) this.start();
    });
  }

  #observed(spools: Spools): Spools {
    return replaced(spools, "claim", async (life, atLeast) => {
      const spool = await spools.claim(life, atLeast);
      this.spools.set(life.journal, spool);
      return spool;
    });
  }
}

function within(clock: Clock, ms: number): AbortSignal {
  const over = new AbortController();
  clock.after(ms, () => over.abort(new WireError("SHUTTING_DOWN", "it does not wait for longer")));
  return over.signal;
}

/** What a broker logs stands in the trace. */
function tracing(world: ClusterWorld, name: string): Logger {
  const line =
    (level: LogLevel) =>
    (event: string, fields: LogFields = {}): void =>
      world.trace.add(`${name} ${level} ${event}${shown(fields)}`);
  const logger: Logger = {
    debug: () => undefined,
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
    with: () => logger,
  };
  return logger;
}

function shown(fields: LogFields): string {
  return Object.entries(fields)
    .map(([key, value]) => ` ${key}=${value instanceof Error ? value.message : String(value)}`)
    .join("");
}

/** Segments small enough to be recycled many times in a run. */
function spoolOptions({ segmentBytes, directBytesMin, tailBytes }: ClusterWorld["swarm"]) {
  return {
    log: {
      ...SPOOL_DEFAULTS.log,
      segmentBytes,
      firstSegmentBytes: segmentBytes,
      groupBytesMax: segmentBytes / 4,
    },
    syncBehindBytes: segmentBytes / 4,
    checkpointLogBytes: 2 * segmentBytes,
    reserveBytes: 2 * segmentBytes,
    directBytesMin,
    tailBytesMax: tailBytes,
  };
}
