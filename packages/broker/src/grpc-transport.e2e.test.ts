// The client's gRPC transport against the broker's gRPC door, over real sockets.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger, systemClock, TokenBook, utf8, WireError } from "@millrace/base";
import {
  AuthKeys,
  getJournal,
  GrpcTransport,
  type AppendContent,
  type GrpcTransportOptions,
} from "@millrace/client";
import { GrpcServer, SharedPort } from "@millrace/grpc";
import { ANY_LABELS, deleteChange, labelSet, parseLabelSelector } from "@millrace/protocol";
import { Authoriser } from "./authoriser.ts";
import {
  applySpec,
  journalSpec,
  openTestBroker,
  preamble,
  readAll,
  readRequest,
  type TestBroker,
} from "./broker-testkit.ts";
import { grpcDoor } from "./grpc-door.ts";

const J = "a/journal";
const KEYS = AuthKeys.parse("c2VjcmV0");

interface Fixture {
  readonly test: TestBroker;
  readonly transport: GrpcTransport;
  /** Ends the door; connections are cut. */
  readonly stop: () => Promise<void>;
}

const bytesOf = (...parts: readonly string[]): AppendContent => ({ kind: "bytes", bytes: parts.map(utf8) });

async function withTransport(
  run: (fixture: Fixture) => Promise<void>,
  keys?: AuthKeys,
  client: Partial<GrpcTransportOptions> = {},
): Promise<void> {
  const broker = await openTestBroker({ clock: systemClock });
  const handlers = grpcDoor({
    clock: systemClock,
    authoriser: new Authoriser({ tokens: new TokenBook(""), keys }, systemClock),
    journals: (principal) => broker.broker.journalsFor(principal),
    storeHealth: (request, signal) => broker.broker.storeHealth(request, signal),
  });
  const server = new GrpcServer({ handlers, clock: systemClock, logger: silentLogger });
  const port = new SharedPort({
    clock: systemClock,
    logger: silentLogger,
    onHttp2: (socket, alreadyRead) => server.serve(socket, alreadyRead),
    onOther: (socket) => void socket.destroy(),
  });
  const { port: number } = await port.listen({ host: "127.0.0.1", port: 0 });
  const address = `http://127.0.0.1:${number}`;
  const transport = new GrpcTransport({ address, clock: systemClock, logger: silentLogger, ...client });
  const stop = async (): Promise<void> => {
    await Promise.all([server.stop(AbortSignal.abort(new Error("enough"))), port.close()]);
  };
  try {
    await applySpec(broker.transport, journalSpec(J));
    await run({ test: broker, transport, stop });
  } finally {
    await transport.close();
    await stop();
    await broker.close();
  }
}

test("grpc transport: apply, append, read, list, fragments -> as in process", async () => {
  await withTransport(async ({ transport }) => {
    await applySpec(transport, journalSpec("b/journal"));
    const first = await transport.append(preamble(J), bytesOf("hel", "", "lo"), never);
    assert.deepEqual([first.status, first.commit!.begin, first.commit!.end], ["OK", 0, 5]);
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield utf8(" ");
      await Promise.resolve();
      yield new Uint8Array(1_000_000).fill(0x78);
    }
    const second = await transport.append(preamble(J), { kind: "chunks", chunks: chunks() }, never);
    assert.deepEqual([second.status, second.commit!.end], ["OK", 1_000_006]);
    const all = Buffer.from(await readAll(transport, readRequest(J), never));
    assert.equal(all.length, 1_000_006);
    assert.equal(all.subarray(0, 8).toString(), "hello xx");
    const listed = await transport.list({ selector: ANY_LABELS, watch: false }, never);
    assert.deepEqual(
      listed.journals.map(({ spec }) => spec.name),
      [J, "b/journal"],
    );
    const asked = { journal: J, beginModTime: 0, endModTime: 0, nextPageToken: 0, pageLimit: 0 };
    const { fragments } = await transport.listFragments({ ...asked, doNotProxy: false }, never);
    assert.equal(fragments.at(-1)!.spec.end, 1_000_006);
  });
});

test("grpc transport: registers and offsets -> statuses of the broker", async () => {
  await withTransport(async ({ transport }) => {
    const fence = {
      checkRegisters: parseLabelSelector("author=one"),
      unionRegisters: labelSet(["author", "one"]),
    };
    assert.equal((await transport.append(preamble(J, fence), bytesOf("x"), never)).status, "OK");
    const other = { checkRegisters: parseLabelSelector("author=two") };
    const refused = await transport.append(preamble(J, other), bytesOf("y"), never);
    assert.deepEqual([refused.status, refused.registers], ["REGISTER_MISMATCH", labelSet(["author", "one"])]);
    const early = await transport.append(preamble(J, { offset: 7 }), bytesOf("y"), never);
    assert.equal(early.status, "WRONG_APPEND_OFFSET");
  });
});

test("grpc transport: watched listing -> a snapshot at each change, until it is aborted", async () => {
  await withTransport(async ({ transport }) => {
    const stop = new AbortController();
    const watch = transport.watchList({ selector: ANY_LABELS, watch: true }, stop.signal);
    const snapshots = watch[Symbol.asyncIterator]();
    const namesOf = async () => (await snapshots.next()).value!.journals.map(({ spec }) => spec.name);
    assert.deepEqual(await namesOf(), [J]);
    await applySpec(transport, journalSpec("b/journal"));
    assert.deepEqual(await namesOf(), [J, "b/journal"]);
    stop.abort(new Error("enough"));
    await assert.rejects(snapshots.next(), { message: "enough" });
  });
});

test("grpc transport: a read of a suspended journal -> SUSPENDED; awaits its resume -> no answer before", async () => {
  await withTransport(async ({ transport }) => {
    const nothing = bytesOf();
    const suspended = await transport.append(preamble(J, { suspend: "SUSPEND_NOW" }), nothing, never);
    assert.equal(suspended.status, "SUSPENDED");
    const statusOf = async (awaitsResume: boolean): Promise<string> => {
      const request = readRequest(J, { block: true, awaitsResume });
      for await (const { status } of transport.read(request, never)) return status;
      return "";
    };
    assert.equal(await statusOf(false), "SUSPENDED");
    const waiting = statusOf(true);
    const { modRevision } = await getJournal(transport, J, never);
    await transport.apply({ changes: [deleteChange(J, modRevision)] }, never);
    assert.equal(await waiting, "JOURNAL_NOT_FOUND");
  });
});

test("grpc transport: source of an append fails, or its caller aborts -> that error, nothing written", async () => {
  await withTransport(async ({ transport }) => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield utf8("x");
      await Promise.resolve();
      throw new Error("the source failed");
    }
    const failing = transport.append(preamble(J), { kind: "chunks", chunks: broken() }, never);
    await assert.rejects(failing, { message: "the source failed" });
    const stop = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield utf8("x");
      stop.abort(new Error("enough"));
      await new Promise((done) => setImmediate(done));
      yield utf8("y");
    }
    const aborted = transport.append(preamble(J), { kind: "chunks", chunks: endless() }, stop.signal);
    await assert.rejects(aborted, { message: "enough" });
    assert.equal((await transport.append(preamble(J), bytesOf("z"), never)).commit!.begin, 0);
  });
});

test("grpc transport: invalid request -> INVALID_ARGUMENT with the broker's text", async () => {
  await withTransport(async ({ transport }) => {
    const message = "Journal: cannot begin with '/' (/invalid/name)";
    await assert.rejects(transport.append(preamble("/invalid/name"), bytesOf("x"), never), {
      code: "INVALID_ARGUMENT",
      message,
    });
    await assert.rejects(readAll(transport, readRequest("/invalid/name"), never), {
      code: "INVALID_ARGUMENT",
      message,
    });
  });
});

test("grpc transport: signs for what each call needs; a foreign key -> UNAUTHENTICATED", async () => {
  await withTransport(
    async ({ transport }) => {
      assert.equal((await transport.append(preamble(`${J};meta`), bytesOf("x"), never)).status, "OK");
      assert.equal(Buffer.from(await readAll(transport, readRequest(J), never)).toString(), "x");
      await applySpec(transport, journalSpec("b/journal"));
    },
    KEYS,
    { keys: KEYS },
  );
  await withTransport(
    async ({ transport }) => {
      const unauthenticated = (error: unknown): boolean => {
        assert.equal(WireError.from(error).code, "UNAUTHENTICATED");
        return true;
      };
      await assert.rejects(transport.append(preamble(J), bytesOf("x"), never), unauthenticated);
      await assert.rejects(transport.list({ selector: ANY_LABELS, watch: false }, never), unauthenticated);
    },
    KEYS,
    { keys: AuthKeys.parse("Zm9yZWlnbg==") },
  );
});

test("grpc transport: the broker is gone -> UNAVAILABLE for what it never saw", async () => {
  await withTransport(async ({ transport, stop }) => {
    await transport.append(preamble(J), bytesOf("x"), never);
    await stop();
    await assert.rejects(transport.list({ selector: ANY_LABELS, watch: false }, never), {
      code: "UNAVAILABLE",
    });
    await assert.rejects(readAll(transport, readRequest(J), never), { code: "UNAVAILABLE" });
  });
});
