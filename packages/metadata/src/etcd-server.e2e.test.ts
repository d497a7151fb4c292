// The contract of the coordination store, held by the etcd server over sockets: our client of etcd on our etcd, through
// our own transport, logged in as root.
import { test } from "node:test";
import { MetricsRegistry, never, silentLogger, systemClock, systemRandom } from "@millrace/base";
import { GrpcChannel, GrpcServer, SharedPort } from "@millrace/grpc";
import { ETCD_DEFAULTS } from "./etcd-options.ts";
import { EtcdServer } from "./etcd-server.ts";
import { openEtcdStore } from "./etcd-store.ts";
import { openMemoryStore } from "./memory-store.ts";
import { hashPassword } from "./system-password.ts";
import { coordinationContract } from "./testkit.ts";

const PASSWORD = "0123456789abcdef";
const ports = { clock: systemClock, random: systemRandom, logger: silentLogger };

interface Server {
  readonly address: string;
  close(): Promise<void>;
}

async function serve(): Promise<Server> {
  const store = await openMemoryStore(systemClock, systemRandom);
  const address = (): string => `127.0.0.1:${bound.port}`;
  const etcd = new EtcdServer({
    ...ports,
    store,
    hashPassword,
    token: PASSWORD,
    address,
    metrics: new MetricsRegistry(),
  });
  const grpc = new GrpcServer({ ...ports, handlers: etcd.handlers });
  const port = new SharedPort({
    ...ports,
    onHttp2: (socket, alreadyRead) => grpc.serve(socket, alreadyRead),
    onOther: (socket) => socket.destroy(),
  });
  const bound = await port.listen({ host: "127.0.0.1", port: 0 });
  return {
    address: `http://${address()}`,
    close: async () => {
      etcd.stop();
      await Promise.all([port.close(), grpc.stop(AbortSignal.abort(new Error("the test is over")))]);
      await store.close();
    },
  };
}

let server: Server | undefined;
let count = 0;

const cases = coordinationContract(async () => {
  server ??= await serve();
  const settings = { ...ETCD_DEFAULTS, endpoints: [server.address], user: "root", password: PASSWORD };
  const connect = (address: string): GrpcChannel => new GrpcChannel({ ...ports, address });
  const store = await openEtcdStore(settings, { ...ports, connect }, AbortSignal.timeout(60_000));
  return {
    store,
    prefix: `contract/${count++}/`,
    clock: systemClock,
    advance: (ms) => systemClock.sleep(ms, never),
    close: () => store.close(),
  };
});

for (const { name, run } of cases) test(`our client on our server: ${name}`, { timeout: 60_000 }, run);

test("our client on our server: ends", async () => server?.close());
