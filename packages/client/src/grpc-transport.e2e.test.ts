// The client over real sockets against two brokers that do what the test says: where calls go, and what becomes of
// them when a broker dies or answers as Gazette's do.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, systemClock, text, utf8 } from "@millrace/base";
import { clientStream, GrpcServer, RpcError, serverStream, SharedPort } from "@millrace/grpc";
import {
  EMPTY_LABELS,
  EMPTY_SHA1,
  JOURNAL_SERVICE,
  newAppendResponse,
  newFragment,
  newReadResponse,
  type Header,
  type Route,
} from "@millrace/protocol";
import { AppendService } from "./append-service.ts";
import { append, appendPreamble } from "./append.ts";
import { GrpcTransport, type GrpcTransportOptions } from "./grpc-transport.ts";
import { readRequest } from "./journal-reader.ts";

const { append: APPEND, read: READ } = JOURNAL_SERVICE;
const J = "a/journal";

/** What the brokers share: what is acknowledged, and who is primary. */
interface World {
  content: string;
  route: Route;
  /** Taken from the front, one for each append that reaches a broker. */
  readonly faults: AppendFault[];
  /** Brokers that took appends and reads, in order. */
  readonly calls: string[];
}

/** What an append does instead of succeeding. `written`: and yet it stands there. */
interface AppendFault {
  readonly code: "UNKNOWN" | "CANCELLED" | "UNAVAILABLE";
  readonly at: "preamble" | "end";
  readonly written?: true;
}

class FakeBroker {
  readonly #name: string;
  readonly #world: World;
  readonly #server: GrpcServer;
  readonly #port: SharedPort;
  address = "";

  constructor(name: string, world: World) {
    this.#name = name;
    this.#world = world;
    const ports = { clock: systemClock, logger: silentLogger };
    const handlers = new Map([
      [APPEND.path, clientStream((requests) => this.#append(requests))],
      [READ.path, serverStream(() => this.#read())],
    ]);
    this.#server = new GrpcServer({ handlers, ...ports });
    this.#port = new SharedPort({
      ...ports,
      onHttp2: (socket, alreadyRead) => this.#server.serve(socket, alreadyRead),
      onOther: (socket) => void socket.destroy(),
    });
  }

  async listen(): Promise<void> {
    const { port } = await this.#port.listen({ host: "127.0.0.1", port: 0 });
    this.address = `http://127.0.0.1:${port}`;
  }

  /** Cuts connections, refuses new ones. */
  async die(): Promise<void> {
    await Promise.all([this.#server.stop(AbortSignal.abort(new Error("dies"))), this.#port.close()]);
  }

  get #header(): Header {
    const etcd = { clusterId: 1n, memberId: 1n, revision: 1, raftTerm: 1n };
    return { processId: { zone: "z", suffix: this.#name }, route: this.#world.route, etcd };
  }

  async #append(requests: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
    const world = this.#world;
    world.calls.push(this.#name);
    const fault = world.faults.shift();
    const fail = (): never => {
      throw new RpcError(fault!.code, "resolver has stopped serving local replicas");
    };
    if (fault?.at === "preamble") fail();
    let content = "";
    for await (const bytes of requests)
      content += text(APPEND.decodeRequest(bytes).content ?? new Uint8Array());
    const begin = world.content.length;
    if (fault === undefined || fault.written) world.content += content;
    if (fault !== undefined) fail();
    const end = begin + content.length;
    const commit = newFragment({ journal: J, begin, end, sum: EMPTY_SHA1, compressionCodec: "NONE" });
    const header = this.#header;
    return APPEND.encodeResponse(
      newAppendResponse({ status: "OK", header, commit, registers: EMPTY_LABELS }),
    );
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    this.#world.calls.push(this.#name);
    const writeHead = this.#world.content.length;
    yield READ.encodeResponse(newReadResponse({ status: "OK", header: this.#header, writeHead }));
  }
}

interface Fixture {
  readonly world: World;
  readonly home: FakeBroker;
  /** Of zone `far`; primary of the journal. */
  readonly far: FakeBroker;
  readonly transport: GrpcTransport;
}

async function withBrokers(
  run: (fixture: Fixture) => Promise<void>,
  options: Partial<GrpcTransportOptions> = {},
): Promise<void> {
  const world: World = { content: "", route: EMPTY, faults: [], calls: [] };
  const [home, far] = [new FakeBroker("home", world), new FakeBroker("far", world)];
  await Promise.all([home.listen(), far.listen()]);
  world.route = {
    members: [
      { zone: "far", suffix: "far" },
      { zone: "local", suffix: "home" },
    ],
    primary: 0,
    endpoints: [far.address, home.address],
  };
  const ports = { clock: systemClock, logger: silentLogger };
  const transport = new GrpcTransport({ address: home.address, ...ports, ...options });
  try {
    await run({ world, home, far, transport });
  } finally {
    await transport.close();
    await Promise.all([home.die(), far.die()]);
  }
}

const EMPTY: Route = { members: [], primary: -1, endpoints: [] };
const CLOCK = { clock: systemClock } as const;
const PORTS = { ...CLOCK, logger: silentLogger } as const;

async function drain(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of messages);
}

const WHOLE = { journal: J, offset: 0, block: false } as const;

test("dispatch: the first append goes to the address, later ones to the primary, reads to the own zone", async () => {
  await withBrokers(async ({ world, transport }) => {
    for (const each of ["a", "b", "c"]) await append({ transport, ...PORTS }, J, [utf8(each)], {}, never);
    await drain(transport.read(readRequest(WHOLE), never));
    assert.deepEqual(world.calls, ["home", "far", "far", "home"]);
    assert.equal(world.content, "abc");
  });
  await withBrokers(
    async ({ world, transport }) => {
      await append({ transport, ...PORTS }, J, [utf8("a")], {}, never);
      await drain(transport.read(readRequest(WHOLE), never));
      assert.deepEqual(world.calls, ["home", "far"]);
    },
    { zone: "far" },
  );
});

test("dispatch: a cache of no routes -> every call goes to the address", async () => {
  await withBrokers(
    async ({ world, transport }) => {
      for (const each of ["a", "b"]) await append({ transport, ...PORTS }, J, [utf8(each)], {}, never);
      assert.deepEqual(world.calls, ["home", "home"]);
    },
    { routes: { routesMax: 0 } },
  );
});

test("dispatch: the primary dies -> the address is asked, nothing lost; its new route is believed", async () => {
  await withBrokers(async ({ world, home, far, transport }) => {
    const service = new AppendService({ transport, ...PORTS });
    for (const each of ["a", "b"]) await service.append(J, [utf8(each)]).done;
    await far.die();
    world.route = { members: [{ zone: "local", suffix: "home" }], primary: 0, endpoints: [home.address] };
    for (const each of ["c", "d"]) await service.append(J, [utf8(each)]).done;
    assert.deepEqual(world.calls, ["home", "far", "home", "home"]);
    assert.equal(world.content, "abcd");
    await service.close();
  });
});

test("dispatch: several addresses -> one of them, the next when it dies, and those that come later", async () => {
  const addresses: string[] = [];
  await withBrokers(
    async ({ world, home, far, transport }) => {
      const appended = (each: string): Promise<unknown> =>
        append({ transport, ...PORTS }, J, [utf8(each)], {}, never);
      await assert.rejects(appended("a"), { code: "UNAVAILABLE", message: "there is no broker" });
      addresses.push(far.address);
      await appended("b");
      addresses.unshift(home.address);
      await appended("c");
      await far.die();
      // The first attempt may be what finds out that the connection is gone.
      await appended("d").catch(() => appended("d"));
      await drain(transport.read(readRequest(WHOLE), never));
      assert.deepEqual(world.calls, ["far", "far", "home", "home"]);
      await home.die();
      await assert.rejects(
        appended("e").catch(() => appended("e")),
        { code: "UNAVAILABLE" },
      );
      const late = new FakeBroker("late", world);
      await late.listen();
      addresses.push(late.address);
      await appended("f");
      assert.deepEqual([world.calls.at(-1), world.content], ["late", "bcdf"]);
      await late.die();
    },
    { address: () => addresses, routes: { routesMax: 0 } },
  );
});

test("append: nobody can be reached -> thrown at once, or after the patience that it was given", async () => {
  await withBrokers(async ({ world, home, far, transport }) => {
    await Promise.all([home.die(), far.die()]);
    const content = [utf8("x")];
    const nobody = { code: "UNAVAILABLE" };
    await assert.rejects(append({ transport, ...PORTS }, J, content, {}, never), nobody);
    let waits = 0;
    const clock = { ...systemClock, sleep: async () => void waits++, monotonicMs: () => 100 * waits };
    await assert.rejects(
      append({ transport, ...PORTS, clock }, J, content, { patienceMs: 500 }, never),
      nobody,
    );
    assert.equal(waits, 5);
    assert.equal(world.content, "");
  });
});

async function* endless(): AsyncGenerator<Uint8Array> {
  yield utf8("x");
  await new Promise(() => undefined);
}

test("append: any failure before its content was whole -> UNAVAILABLE: nothing was written", async () => {
  await withBrokers(async ({ world, transport }) => {
    for (const code of ["UNKNOWN", "CANCELLED", "UNAVAILABLE"] as const) {
      world.faults.push({ code, at: "preamble" });
      const chunks = endless();
      const failing = transport.append(appendPreamble(J, {}), { kind: "chunks", chunks }, never);
      await assert.rejects(failing, { code: "UNAVAILABLE" }, code);
    }
  });
});

test("append: an answer that got lost behind the content -> OUTCOME_UNKNOWN, never repeated on its own", async () => {
  await withBrokers(async ({ world, transport }) => {
    for (const code of ["UNKNOWN", "CANCELLED", "UNAVAILABLE"] as const) {
      world.faults.push({ code, at: "end", written: true });
      const lost = append({ transport, ...PORTS }, J, [utf8("x")], {}, never);
      await assert.rejects(lost, { code: "OUTCOME_UNKNOWN" }, code);
    }
    assert.equal(world.content, "xxx");
  });
});

test("append service: failures of a Go broker that stops -> repeated, at least once, in order", async () => {
  await withBrokers(async ({ world, transport }) => {
    const service = new AppendService({ transport, ...PORTS });
    world.faults.push(
      { code: "UNKNOWN", at: "preamble" },
      { code: "CANCELLED", at: "end" },
      { code: "UNAVAILABLE", at: "end", written: true },
      { code: "UNKNOWN", at: "end" },
    );
    await service.append(J, [utf8("a")]).done;
    await service.append(J, [utf8("b")]).done;
    assert.equal(world.content, "aab");
    await service.close();
  });
});

test("request: what is wrong with it -> told in a broker's words, and no broker is asked", async () => {
  await withBrokers(async ({ world, transport }) => {
    const journal = "/a/journal";
    const wrong = { code: "INVALID_ARGUMENT", message: `Journal: cannot begin with '/' (${journal})` };
    await assert.rejects(append({ transport, ...PORTS }, journal, [utf8("x")], {}, never), wrong);
    await assert.rejects(drain(transport.read(readRequest({ ...WHOLE, journal }), never)), wrong);
    const bounds = { beginModTime: 0, endModTime: 0, nextPageToken: 0, pageLimit: 0, doNotProxy: false };
    await assert.rejects(transport.listFragments({ journal, ...bounds }, never), wrong);
    assert.deepEqual(world.calls, []);
  });
});
