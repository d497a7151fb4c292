// A cluster of real processes and the misfortunes that come over it, drawn from a seed: three brokers, each with a path
// of its own to one etcd, one for its clients, one for the other brokers and, where that is permitted, a small file
// system of its own.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "@millrace/base";
import { TcpProxy } from "@millrace/metadata/testkit";
import type { OnContent } from "./doctor-journals.ts";
import { missingEtcd, soundDirectory, testEtcd, TestBrokerProcess, type TestEtcd } from "./test-cluster.ts";
import { scratch, until } from "./test-platform.ts";
import type { JournalLedger } from "./test-journal-ledger.ts";
import { OfflineLedger } from "./test-offline-ledger.ts";
import { SmallDisk } from "./test-small-disk.ts";

export const BROKERS = 3;
const LEASE_SECONDS = 5;
const DISK_MIB = 512;
const MIB = 2 ** 20;
const FLAGS = [
  ...["--etcd.lease", `${LEASE_SECONDS}s`, "--broker.segment-size", "4MiB", "--broker.reserve", "16MiB"],
];

/** Longer than any misfortune takes. */
const RUNNING_MS = 90_000;
const LOOK_MS = 100;

interface Member {
  /** What leads from the broker to etcd. */
  readonly proxy: TcpProxy;
  /** What leads from clients to the broker. */
  readonly door: TcpProxy;
  /** What leads from the other brokers to it: where it says that it is. */
  readonly peers: TcpProxy;
  readonly disk: SmallDisk | undefined;
  readonly broker: TestBrokerProcess;
  /** Its life is in the hands of a misfortune. */
  isStruck: boolean;
}

interface Misfortune {
  readonly strike: (this: void, storm: Storm, member: Member) => Promise<string>;
  /** It ends the broker, and starts it again. */
  readonly endsLife?: true;
  readonly takesDisk?: true;
}

export class Storm {
  readonly etcd: TestEtcd;
  readonly members: readonly Member[];
  readonly random: Random;
  /** How often what was suffered. */
  readonly #suffered = new Map<string, number>();
  readonly #fileRoot: string;
  #supervised: Promise<void>;
  #isClosing = false;

  private constructor(etcd: TestEtcd, fileRoot: string, members: readonly Member[], random: Random) {
    this.etcd = etcd;
    this.#fileRoot = fileRoot;
    this.members = members;
    this.random = random;
    this.#supervised = this.#supervise();
  }

  static async open(random: Random): Promise<Storm> {
    const etcd = await testEtcd(missingEtcd("etcd's own") === false ? "etcd's own" : "ours", {
      isHidden: true,
    });
    await etcd.run();
    const fileRoot = scratch();
    const members: Member[] = [];
    for (let i = 0; i < BROKERS; i++) {
      const proxy = await TcpProxy.to(etcd.port);
      const disk = SmallDisk.mounted(DISK_MIB);
      const peers = await TcpProxy.to(0);
      const flags = [...FLAGS, "--broker.advertise", `127.0.0.1:${peers.port}`];
      const place = { etcd: `http://127.0.0.1:${proxy.port}`, fileRoot, flags };
      const broker = await TestBrokerProcess.at({ ...place, ...(disk && { data: disk.data }) });
      peers.leadTo(broker.port);
      await broker.start();
      const door = await TcpProxy.to(broker.port);
      members.push({ proxy, door, peers, disk, broker, isStruck: false });
    }
    return new Storm(etcd, fileRoot, members, random);
  }

  /** @returns what happened */
  async strike(): Promise<string> {
    await this.running();
    const i = this.random.below(BROKERS);
    const member = this.members[i]!;
    const all = MISFORTUNES.filter(({ takesDisk }) => takesDisk === undefined || member.disk !== undefined);
    const { strike, endsLife = false } = all[this.random.below(all.length)]!;
    member.isStruck = endsLife;
    const happened = await strike(this, member);
    member.isStruck = false;
    this.#note(happened);
    return happened === ETCD_KILLED ? happened : `broker ${i} ${happened}`;
  }

  /** Waits until every broker runs; who supervises them may have failed. */
  async running(): Promise<void> {
    const isRunning = until("every broker runs", RUNNING_MS, () =>
      this.members.every(({ broker: { life } }) => life.isReady && life.exit === undefined),
    );
    await Promise.race([isRunning, this.#supervised]);
    await isRunning;
  }

  describe(): string {
    return [...this.#suffered].map(([what, count]) => `${what}: ${count}`).join(", ");
  }

  /**
   * All brokers are killed at once; the doctor finds nothing wrong with what they leave, nor do the books with what it
   * reads, and they come back.
   */
  async killAll(ledgers: readonly JournalLedger[]): Promise<void> {
    this.#isClosing = true;
    await this.#supervised;
    await Promise.all(this.members.map(({ broker }) => broker.kill()));
    const books = new Map(ledgers.map((ledger) => [ledger.journal, new OfflineLedger(ledger)]));
    const onContent: OnContent = (journal, ...piece) => books.get(journal)?.take(...piece);
    for (const { broker } of this.members) await soundDirectory(broker, this.#fileRoot, onContent);
    assert.deepEqual(
      [...books.values()].flatMap((book) => book.violations()),
      [],
    );
    await Promise.all(this.members.map(({ broker }) => broker.start()));
  }

  /** Also in the middle of a test that failed. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#supervised.catch(() => undefined);
    for (const { broker, proxy, door, peers, disk } of this.members) {
      await broker.kill();
      for (const path of [proxy, door, peers]) await path.close();
      disk?.unmount();
    }
    await this.etcd.close();
  }

  /** Brings back whoever ended itself: its lease was over, or it had no space to start; it may have no other reason. */
  async #supervise(): Promise<void> {
    while (!this.#isClosing) {
      await sleep(LOOK_MS);
      for (const { broker, isStruck } of this.members) {
        if (isStruck || !hasEnded(broker)) continue;
        const { stderr } = broker.life;
        assert.ok(
          LEASE_OVER.test(stderr) || NO_SPACE.test(stderr),
          `it ended itself:\n${stderr.slice(-3000)}`,
        );
        this.#note("ended itself");
        broker.launch();
      }
    }
  }

  #note(happened: string): void {
    this.#suffered.set(happened, (this.#suffered.get(happened) ?? 0) + 1);
  }
}

/** Why a broker may end itself: whichever it notices first. */
export const LEASE_OVER = /unable to keep member lease alive|member key not found in Etcd/;
const NO_SPACE = /^millrace: .*(?:space|ENOSPC)/im;
const ETCD_KILLED = "etcd killed";

const MISFORTUNES: readonly Misfortune[] = [
  { strike: killed, endsLife: true },
  { strike: stopped, endsLife: true },
  { strike: frozenPastLease, endsLife: true },
  { strike: frozen },
  { strike: cutOff },
  { strike: cutOffPastLease, endsLife: true },
  { strike: clientsCutOff },
  { strike: clientsUnanswered },
  { strike: peersCutOff },
  { strike: peersUnanswered },
  { strike: etcdKilled },
  { strike: diskFull, takesDisk: true },
  { strike: diskFullAndKilled, takesDisk: true, endsLife: true },
];

async function killed(_: Storm, { broker }: Member): Promise<string> {
  await broker.kill();
  await broker.start();
  return "killed";
}

/** SIGTERM: it must end in time and with 0, whatever the others do. */
async function stopped(_: Storm, { broker }: Member): Promise<string> {
  await broker.stop();
  await broker.start();
  return "stopped";
}

async function frozenPastLease(_: Storm, { broker }: Member): Promise<string> {
  broker.freeze();
  await sleep((LEASE_SECONDS * 2 + 1) * 1000);
  broker.thaw();
  await endsForLease(broker);
  await broker.start();
  return "frozen past its lease";
}

async function endsForLease(broker: TestBrokerProcess): Promise<void> {
  await until("it ends itself once it knows that its lease is over", 60_000, () => hasEnded(broker));
  assert.match(broker.life.stderr, LEASE_OVER);
}

async function frozen({ random }: Storm, { broker }: Member): Promise<string> {
  broker.freeze();
  await sleep(300 + random.below(1000));
  broker.thaw();
  return "frozen for a moment";
}

/** It goes on when the path is back within its lease. */
async function cutOff({ random }: Storm, { proxy }: Member): Promise<string> {
  const isSilent = random.below(2) === 0;
  await (isSilent ? swallow(proxy, random) : refuse(proxy, random));
  return `cut off from etcd${isSilent ? ", without a word" : ""}`;
}

/** Others take its journals meanwhile; clients and the other brokers reach it as long as it lives. */
async function cutOffPastLease({ random }: Storm, { proxy, broker }: Member): Promise<string> {
  const isSilent = random.below(2) === 0;
  if (isSilent) proxy.swallow();
  else proxy.refuse();
  await endsForLease(broker);
  open(proxy);
  await broker.start();
  return `cut off from etcd past its lease${isSilent ? ", without a word" : ""}`;
}

/** It still reaches the others, and they do not reach it. */
async function peersCutOff({ random }: Storm, { peers }: Member): Promise<string> {
  await refuse(peers, random);
  return "cut off from the others";
}

/** It syncs what the others bring, and they never hear of it. */
async function peersUnanswered({ random }: Storm, { peers }: Member): Promise<string> {
  await swallowAnswers(peers, random);
  return "unheard by the others";
}

/** Appends end in their midst, or are refused. */
async function clientsCutOff({ random }: Storm, { door }: Member): Promise<string> {
  for (let times = 1 + random.below(5); times > 0; times--) {
    door.refuse();
    await sleep(random.below(300));
    door.forward();
    await sleep(random.below(300));
  }
  return "cut off from its clients";
}

/** Appends happen, and their clients never hear of it. */
async function clientsUnanswered({ random }: Storm, { door }: Member): Promise<string> {
  await swallowAnswers(door, random);
  return "unheard by its clients";
}

async function etcdKilled({ etcd }: Storm): Promise<string> {
  await etcd.kill();
  await etcd.run();
  return ETCD_KILLED;
}

/** It says so, goes on, and takes appends again when there is room; whoever supervises it sees that it does not end. */
async function diskFull({ random }: Storm, { broker, disk }: Member): Promise<string> {
  await disk!.fill(random.below(2) * 8 * MIB);
  await broker.says(503, /space/i);
  await sleep(random.below(3000));
  disk!.clear();
  await broker.says(200, /ok/);
  return "with a full disk";
}

async function diskFullAndKilled(_: Storm, { broker, disk }: Member): Promise<string> {
  await disk!.fill(0);
  await until("it says that it has no space", 60_000, async () => {
    if (hasEnded(broker)) return true;
    const answer = await broker.readyz().catch(() => undefined);
    return answer?.status === 503 && /space/i.test(answer.text);
  });
  await broker.kill();
  // Without room it may start and say so, or refuse to: it must do one of them, and harm nothing.
  const cramped = broker.launch();
  await until("it has started or ended", 60_000, () => cramped.isReady || hasEnded(broker));
  if (hasEnded(broker)) assert.match(cramped.stderr, NO_SPACE);
  else await broker.kill();
  disk!.clear();
  await broker.start();
  return "killed while its disk was full";
}

async function refuse(path: TcpProxy, random: Random): Promise<void> {
  path.refuse();
  await sleep(300 + random.below(1500));
  path.forward();
}

async function swallow(path: TcpProxy, random: Random): Promise<void> {
  path.swallow();
  await sleep(300 + random.below(1500));
  open(path);
}

async function swallowAnswers(path: TcpProxy, random: Random): Promise<void> {
  path.swallowAnswers();
  await sleep(300 + random.below(1500));
  open(path);
}

/** Connections that have lost bytes are of no use. */
function open(path: TcpProxy): void {
  path.cut();
  path.forward();
}

function hasEnded({ life }: TestBrokerProcess): boolean {
  return life.exit !== undefined;
}
