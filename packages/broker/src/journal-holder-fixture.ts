// Data directories with bytes of one journal, for tests.
import { concatBytes, never, text, utf8, type Logger } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import type { CommitOutcome, Spool } from "@millrace/fragments";
import {
  EMPTY_LABELS,
  labelSet,
  type Header,
  type LabelSet,
  type ProcessId,
  type Route,
} from "@millrace/protocol";
import { FakeSpools } from "./fake-spools.ts";
import type { HoldersList } from "./holders-list.ts";
import type { HoldersStore } from "./holders-store.ts";
import { JournalHolder } from "./journal-holder.ts";
import type { HoldAnswer, HolderCalls, HoldRequest, Peer } from "./peer-network.ts";

export const J = "a/journal";
export const LIFE = { journal: J, createRevision: 7, epoch: 1 };
export const REGISTERS = labelSet(["author", "a"]);
/** Of a journal that had none before a broker that keeps no list joined its route. */
export const VOID: HoldersList = { segments: [], tail: { kind: "void", begin: 0 } };

const idOf = (name: string): ProcessId => ({ zone: name, suffix: `broker-${name}` });
export const peerOf = (name: string): Peer => ({ id: idOf(name), endpoint: `http://${name}` });
/** The first one is the primary. */
export const routeOf = (...names: string[]): Route => ({
  members: names.map(idOf),
  primary: 0,
  endpoints: [],
});

export class Directory {
  readonly spools = new FakeSpools();
  readonly spool: Spool;
  readonly holder: JournalHolder;

  constructor(world: World, name: string, spool: Spool) {
    this.spool = spool;
    this.holder = new JournalHolder(
      {
        lists: world.lists,
        self: name,
        id: idOf(name),
        clock: new SimulatedClock(world.agenda),
        logger: world.logger,
        loadedAt: 1,
        view: () => ({ revision: world.revision, header: world.header(name), joined: world.joined }),
        holderOf: (peer) => world.callsOf(peer),
        lease: { isLate: false, isAlive: () => Promise.resolve(true) },
      },
      spool,
      0,
    );
  }

  async append(content: string, registers?: LabelSet): Promise<CommitOutcome> {
    const append = this.spool.openAppend();
    await append.write(utf8(content), never);
    return new Promise((resolve) => append.commit(registers, resolve));
  }

  /** All bytes from `begin` on, hidden ones in brackets. */
  async text(begin = this.spool.held()[0]?.begin ?? 0): Promise<string> {
    const { spool } = this;
    const parts: Uint8Array[] = [];
    for (let at = begin; at < spool.syncedEnd; at += parts.at(-1)!.length) {
      parts.push(await spool.readHeld(at, spool.syncedEnd - at, never));
    }
    const all = text(concatBytes(parts));
    const shown = Math.max(0, spool.end - begin);
    return spool.end < spool.syncedEnd ? `${all.slice(0, shown)}[${all.slice(shown)}]` : all;
  }
}

export class World {
  readonly agenda = new Agenda();
  readonly directories = new Map<string, Directory>();
  revision = 10;
  joined = 5;
  route = routeOf("a", "b");
  list: HoldersList | undefined;
  listReads = 0;
  /** Level and event of what was logged. */
  readonly told: string[] = [];
  readonly logger: Logger = {
    debug: (event) => void this.told.push(`debug ${event}`),
    info: (event) => void this.told.push(`info ${event}`),
    warn: (event) => void this.told.push(`warn ${event}`),
    error: (event) => void this.told.push(`error ${event}`),
    with: () => this.logger,
  };
  /** In the place of what a directory answers. */
  readonly instead = new Map<string, Partial<HolderCalls>>();

  readonly lists = {
    read: () => {
      this.listReads++;
      return Promise.resolve({ list: this.list, listRevision: 1, readAt: this.revision });
    },
  } as unknown as HoldersStore;

  async open(...names: string[]): Promise<Directory[]> {
    const opened: Directory[] = [];
    for (const name of names) {
      const directory = new Directory(this, name, await new FakeSpools().claim(LIFE, 0));
      this.directories.set(name, directory);
      opened.push(directory);
    }
    return opened;
  }

  header(name: string): Header {
    const etcd = { clusterId: 1n, memberId: 1n, revision: this.revision, raftTerm: 1n };
    return { processId: idOf(name), route: this.route, etcd };
  }

  callsOf({ id }: Peer): HolderCalls {
    const { holder } = this.directories.get(id.zone)!;
    return {
      hold: (request, signal) => holder.hold(request, signal),
      fetch: (request, signal) => holder.fetch(request, signal),
      digest: (request, signal) => holder.digest(request, signal),
      ...this.instead.get(id.zone),
    };
  }

  hold(
    name: string,
    wants: { readonly wants: "fence" | "ask" } | Partial<Extract<HoldRequest, { wants: "bring" | "level" }>>,
    { epoch = 10, stream = 1, route = this.route } = {},
  ): Promise<HoldAnswer> {
    const header = { ...this.header(name), route };
    const bring = { begin: 0, end: 0, source: undefined, registers: EMPTY_LABELS };
    const on = { journal: J, createRevision: 7, header, epoch, stream };
    return this.directories.get(name)!.holder.hold({ ...on, ...bring, ...wants }, never);
  }
}

export const held = (answer: HoldAnswer): unknown => (answer.kind === "taken" ? answer.held : answer.why);
