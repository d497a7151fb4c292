// Brokers with real listeners: gRPC and HTTP on one port of loopback each, and each reaches the others over it. On one
// embedded store, on the system's clock, with spools in memory.
import { createServer } from "node:http";
import type { Socket } from "node:net";
import { silentLogger, systemClock, TokenBook, WireError, type Clock } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { AuthKeys } from "@millrace/client";
import { GrpcServer, SharedPort } from "@millrace/grpc";
import type { EmbeddedStore } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { Authoriser, EVERYONE } from "./authoriser.ts";
import type { Broker } from "./broker.ts";
import { openTestBroker, type TestBroker } from "./broker-testkit.ts";
import { FakeSpools } from "./fake-spools.ts";
import { grpcDoor, type GrpcDoorOptions } from "./grpc-door.ts";
import { GrpcPeerNetwork } from "./grpc-peer-network.ts";
import { httpGateway } from "./http-gateway.ts";
import { PeerChannels } from "./peer-dial.ts";

/** Of every broker. The HTTP door asks nobody. */
export const KEYS = AuthKeys.parse("c2VjcmV0IGtleSBvZiBicm9rZXJz");
const CLOCK: Clock = systemClock;

export interface SocketMember extends TestBroker {
  readonly spools: FakeSpools;
  readonly name: string;
  readonly endpoint: string;
  readonly port: number;
  readonly network: GrpcPeerNetwork;
  readonly dial: PeerChannels;
  /** Its process is gone, as far as others can tell. */
  cut(): Promise<void>;
}

export interface SocketMemberOptions {
  readonly spools?: FakeSpools;
  /** Default: its name. */
  readonly zone?: string;
}

export async function openSocketMember(
  coordination: EmbeddedStore,
  name: string,
  { spools = new FakeSpools(), zone = name }: SocketMemberOptions = {},
): Promise<SocketMember> {
  const part: { opened: TestBroker | undefined } = { opened: undefined };
  const { port, cut } = await openDoors(() => {
    if (part.opened === undefined) throw new WireError("UNAVAILABLE", "the broker is starting");
    return part.opened;
  });
  const endpoint = `http://127.0.0.1:${port}`;
  const dial = new PeerChannels({ clock: CLOCK, logger: silentLogger, keys: KEYS });
  const network = new GrpcPeerNetwork(dial, CLOCK);
  const member = await openTestBroker({
    id: { zone, suffix: `broker-${name}` },
    endpoint,
    holder: `directory-${name}`,
    network,
    spools,
    coordination,
    clock: CLOCK,
    random: seededRandom(name),
    leaseSeconds: 10,
  });
  part.opened = member;
  const close = async (): Promise<void> => {
    await member.close();
    await dial.close(AbortSignal.abort(new Error("enough")));
    await cut();
  };
  return { ...member, spools, name, endpoint, port, network, dial, cut, close };
}

/** Listens for HTTP and gRPC. @param opened throws while the broker starts */
async function openDoors(opened: () => TestBroker): Promise<{ port: number; cut: () => Promise<void> }> {
  const running = (): Broker => opened().broker;
  const storeHealth: GrpcDoorOptions["storeHealth"] = (request, signal) =>
    running().storeHealth(request, signal);
  const handlers = grpcDoor({
    clock: CLOCK,
    authoriser: new Authoriser({ tokens: new TokenBook(""), keys: KEYS }, CLOCK),
    journals: (principal) => running().journalsFor(principal),
    storeHealth,
  });
  const server = new GrpcServer({ handlers, clock: CLOCK, logger: silentLogger });
  const gateway = httpGateway({
    authorise: () => EVERYONE,
    transport: () => running().transport,
    metrics: () => opened().metrics.render(),
    unready: () => running().health(),
    degraded: () => [],
    storeHealth,
    logger: silentLogger,
  });
  const http = createServer(gateway);
  const sockets = new Set<Socket>();
  const shared = new SharedPort({
    clock: CLOCK,
    logger: silentLogger,
    onHttp2: (socket, alreadyRead) => server.serve(socket, alreadyRead),
    onOther: (socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      http.emit("connection", socket);
    },
  });
  const { port } = await shared.listen({ host: "127.0.0.1", port: 0 });
  const cut = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await Promise.all([server.stop(AbortSignal.abort(new Error("enough"))), shared.close()]);
  };
  return { port, cut };
}

/** Brokers `a`, `b`, `c`, each in a zone of its own, and their store; all of them are closed afterwards. */
export async function withSocketMembers(
  run: (members: SocketMember[], coordination: EmbeddedStore) => Promise<void>,
): Promise<void> {
  const coordination = await openMemoryStore(CLOCK, seededRandom("peers"));
  const members: SocketMember[] = [];
  try {
    for (const name of ["a", "b", "c"]) members.push(await openSocketMember(coordination, name));
    await run(members, coordination);
  } finally {
    await Promise.all(members.map((member) => member.close()));
    await coordination.close();
  }
}
