// Two doors over streams in memory, which must say the same: node:http's server alone, and plain PUTs in front of it.
import { createServer, type Server } from "node:http";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import {
  concatBytes,
  hostPolicy,
  refuseHost,
  RequestIds,
  silentLogger,
  text,
  WireError,
  type Clock,
} from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import type { AppendContent, JournalTransport } from "@millrace/client";
import { parseLabelSelector, type AppendPreamble, type AppendResponse } from "@millrace/protocol";
import type { AppendCaller, Lifetime, RunningAppend } from "./append-ports.ts";
import type { AppendFeed } from "./append-feed.ts";
import { EVERYONE, type Need, type Principal, type RefuseAppend } from "./authoriser.ts";
import type { PrincipalJournals } from "./principal-journals.ts";
import { httpGateway } from "./http-gateway.ts";
import { PlainPutDoor } from "./http-plain-door.ts";
import type { AppendDoor } from "./local-transport.ts";

const IDLE_MS = 60_000;
/** For whom the journals `closed/…` are not there. */
const STRANGER: Principal = {
  visible: parseLabelSelector("prefix=a/"),
  expiresAtMs: Number.POSITIVE_INFINITY,
};
const EXPIRING: Principal = { visible: undefined, expiresAtMs: 2 ** 50 };

/** Journals that keep what was appended: `lost/…` is not found, `full/…` refuses. */
export class FakeJournals implements PrincipalJournals {
  /** `journal: content` in the order in which appends began. */
  readonly appended: string[] = [];
  /** Answers wait for `release`. */
  isHeld = false;
  readonly peers = undefined;
  readonly #waiting: (() => void)[] = [];
  readonly #ends = new Map<string, number>();

  readonly appends: AppendDoor = {
    startAppend: (
      request: AppendPreamble,
      feed: AppendFeed,
      _: Lifetime,
      caller: AppendCaller,
    ): RunningAppend => {
      const parts: Uint8Array[] = [];
      for (let item = feed.take(); item !== "end-of-stream"; item = feed.take()) {
        if (!(item instanceof Uint8Array)) throw new Error("the feed is not whole");
        parts.push(item);
      }
      this.#append(request.journal, concatBytes(parts)).then(
        (response) => caller.answered(response),
        (error: Error) => caller.failed(error),
      );
      return { aborted: () => undefined };
    },
  };

  /** What the gateway calls of a transport. */
  readonly transport: JournalTransport = {
    append: async (request: AppendPreamble, content: AppendContent) => {
      const parts: Uint8Array[] = [];
      if (content.kind === "bytes") parts.push(...content.bytes);
      else for await (const part of content.chunks) parts.push(part);
      return this.#append(request.journal, concatBytes(parts));
    },
    read: () => {
      throw new WireError("NOT_FOUND", "nothing is read here");
    },
  } as Partial<JournalTransport> as JournalTransport;

  /** Lets the oldest held answer go, or the one at `index`. */
  release(index = 0): void {
    this.#waiting.splice(index, 1)[0]!();
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  async #append(journal: string, content: Uint8Array): Promise<AppendResponse> {
    this.appended.push(`${journal}: ${text(content)}`);
    if (this.isHeld) await new Promise<void>((release) => this.#waiting.push(release));
    if (journal.startsWith("full/")) throw new WireError("OVERLOADED", "no more of it\nplease");
    const begin = this.#ends.get(journal) ?? 0;
    const end = begin + content.length;
    this.#ends.set(journal, end);
    const isLost = journal.startsWith("lost/");
    const member = { zone: "a", suffix: "broker" };
    const route = { members: [member], primary: 0, endpoints: ["http://broker:8080/at"] };
    return {
      status: isLost ? "JOURNAL_NOT_FOUND" : "OK",
      header: {
        processId: member,
        route,
        etcd: { clusterId: 1n, memberId: 1n, revision: 1, raftTerm: 1n },
      },
      ...(isLost ? {} : { commit: commitOf(journal, begin, end) }),
      totalChunks: 1,
      delayedChunks: 0,
      storeHealthError: "",
    };
  }
}

function commitOf(journal: string, begin: number, end: number): NonNullable<AppendResponse["commit"]> {
  const sum = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
  const store = { backingStore: "", modTime: 0, pathPostfix: "" };
  return { journal, begin, end, sum, compressionCodec: "NONE", ...store };
}

/** A socket of which the test is the other end. */
export class Wire {
  readonly socket: Duplex;
  received = "";
  /** Whether the client reads. */
  isRead = true;
  #kept: (() => void)[] = [];

  constructor() {
    this.socket = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _, done) => {
        this.received += chunk.toString("latin1");
        if (this.isRead) done();
        else this.#kept.push(done);
      },
    });
    // Time limits of sockets are not tested here.
    Object.assign(this.socket, { setTimeout: () => this.socket });
    this.socket.on("error", () => undefined);
  }

  async send(bytes: Uint8Array): Promise<void> {
    if (!this.socket.destroyed && bytes.length > 0) this.socket.push(bytes);
    await turns();
  }

  /** Ends the client's side. */
  async end(): Promise<void> {
    if (!this.socket.destroyed) this.socket.push(null);
    await turns();
  }

  readOn(): void {
    this.isRead = true;
    for (const done of this.#kept.splice(0)) done();
  }

  /** What was received, but for the date, which node:http takes from the machine. */
  get answers(): string {
    return this.received.replaceAll(/Date: [^\r]*/g, "Date: now");
  }
}

/** All that can go on without a timer has gone on. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((done) => setImmediate(done));
}

export interface TestDoor {
  readonly journals: FakeJournals;
  readonly server: Server;
  readonly door: PlainPutDoor;
  /** Connections that node:http has got. */
  handedOver: number;
  isStarting: boolean;
  /** @param isPlain false: node:http alone */
  readonly connect: (isPlain: boolean) => Wire;
}

export function openTestDoor(clock: Clock): TestDoor {
  const journals = new FakeJournals();
  const ids = new RequestIds(seededRandom("door"));
  const policy = hostPolicy("localhost", false);
  const refuseAppend: RefuseAppend = (journal, principal) =>
    journal.startsWith("closed/") && principal !== STRANGER ? "closed to all" : undefined;
  const handle = httpGateway({
    authorise,
    transport: () => journals.transport,
    metrics: () => "metrics 1\n",
    unready: () => [],
    degraded: () => [],
    storeHealth: () => Promise.reject(new WireError("NOT_FOUND", "no store")),
    refuseAppend,
    logger: silentLogger,
  });
  const times = { requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: IDLE_MS };
  const server = createServer(times, (request, response) => {
    response.setHeader("X-Request-Id", ids.next());
    const refused = refuseHost(request.headers.host, request.headers.origin, policy);
    if (refused === undefined) handle(request, response);
    else response.writeHead(403).end(`${refused}\n`);
  });
  const door = new PlainPutDoor({
    clock,
    ids,
    policy,
    authorise,
    refuseAppend,
    idleMs: IDLE_MS,
    journals: () => (opened.isStarting ? undefined : journals),
    handOver: (socket) => {
      opened.handedOver++;
      server.emit("connection", socket);
    },
  });
  const opened: TestDoor = {
    journals,
    server,
    door,
    handedOver: 0,
    isStarting: false,
    connect: (isPlain) => {
      const wire = new Wire();
      const socket = wire.socket as Socket;
      if (isPlain) door.accept(socket);
      else server.emit("connection", socket);
      return wire;
    },
  };
  return opened;
}

function authorise(authorization: string | undefined, need: Need): Principal {
  if (authorization === undefined) return EVERYONE;
  if (authorization === "Bearer passing" && need !== "METRICS") return EXPIRING;
  if (authorization === "Bearer stranger") return STRANGER;
  throw new WireError("UNAUTHENTICATED", "not with this token");
}
