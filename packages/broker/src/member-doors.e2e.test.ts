// The doors of brokers that do not have the journal: HTTP and gRPC over real sockets, in front of those that do.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { describe, test } from "node:test";
import { concatBytes, never, silentLogger, systemClock, text, utf8, WireError } from "@millrace/base";
import { GrpcTransport, type AppendContent, type JournalTransport } from "@millrace/client";
import { labelSet, newFragmentsRequest, parseLabelSelector, type ReadResponse } from "@millrace/protocol";
import { applySpec, journalSpec, preamble, readAll, readRequest } from "./broker-testkit.ts";
import { ask, begin } from "./http-testkit.ts";
import { KEYS, withSocketMembers, type SocketMember } from "./socket-testkit.ts";

const J = "a/journal";
const MIB = 1024 * 1024;

interface Fixture {
  readonly members: readonly SocketMember[];
  readonly primary: SocketMember;
  readonly replica: SocketMember;
  /** Not a member of the journal's route. */
  readonly outsider: SocketMember;
  /** A client that knows of one broker only. */
  readonly client: (member: SocketMember) => JournalTransport;
}

const bytes = (...parts: readonly string[]): AppendContent => ({ kind: "bytes", bytes: parts.map(utf8) });

async function withDoors(run: (fixture: Fixture) => Promise<void>, length = 1 << 30): Promise<void> {
  await withSocketMembers(async (members) => {
    const { fragment } = journalSpec(J);
    const spec = journalSpec(J, { replication: 2, fragment: { ...fragment, length } });
    await applySpec(members[0]!.transport, spec);
    const { route } = (await members[0]!.transport.append(preamble(J), bytes(), never)).header;
    const named = (suffix: string | undefined): SocketMember =>
      members.find(({ name }) => `broker-${name}` === suffix)!;
    const primary = named(route.members[route.primary]?.suffix);
    const replica = named(route.members[1 - route.primary]?.suffix);
    const outsider = members.find((member) => member !== primary && member !== replica)!;
    const clients: GrpcTransport[] = [];
    const client = ({ endpoint: address }: SocketMember): JournalTransport => {
      const options = { address, clock: systemClock, logger: silentLogger, keys: KEYS };
      const transport = new GrpcTransport({ ...options, routes: { routesMax: 0 } });
      clients.push(transport);
      return transport;
    };
    try {
      await run({ members, primary, replica, outsider, client });
    } finally {
      await Promise.all(clients.map((each) => each.close()));
    }
  });
}

async function messagesOf(reading: AsyncIterable<ReadResponse>): Promise<ReadResponse[]> {
  const messages: ReadResponse[] = [];
  for await (const message of reading) messages.push(message);
  return messages;
}

async function until(isSo: () => boolean): Promise<void> {
  for (let attempt = 0; !isSo(); attempt++) {
    assert.ok(attempt < 1000, "it comes about");
    await systemClock.sleep(10, never);
  }
}

/** Waits until a number does not change any more. */
async function settled(value: () => number): Promise<number> {
  let last = -1;
  for (let same = 0; same < 20;) {
    await systemClock.sleep(10, never);
    same = value() === last ? same + 1 : 0;
    last = value();
  }
  return last;
}

const sumOf = (content: Uint8Array): string => createHash("sha1").update(content).digest("hex");

function noise(length: number): Uint8Array {
  const content = new Uint8Array(length);
  for (let i = 0, x = 1; i < length; i++) content[i] = x = (x * 1_103_515_245 + 12_345) >>> 8;
  return content;
}

describe("HTTP at a broker that does not have the journal", () => {
  test("PUT, GET, HEAD, offsets -> as at its primary, whom the headers name", async () => {
    await withDoors(async ({ members, primary, outsider }) => {
      const put = await ask(outsider.port, `/${J}`, { method: "PUT", body: "hello" });
      const { headers } = put;
      const commit = ["begin", "end", "sha1-sum"].map((name) => headers[`x-commit-${name}`]);
      assert.deepEqual([put.status, ...commit], [204, "0", "5", sumOf(utf8("hello"))]);
      assert.equal(headers["location"], `${primary.endpoint}/${J}`);
      for (const { port, name } of members) {
        const got = await ask(port, `/${J}?offset=1`);
        const told = [got.status, got.body, got.trailers["x-close-error"], got.headers["x-write-head"]];
        assert.deepEqual(told, [206, "ello", "OFFSET_NOT_YET_AVAILABLE", "5"], name);
        assert.match(got.headers["content-range"]!, /^bytes 1-/);
        assert.equal(got.headers["x-route-token"], headers["x-route-token"]);
        const head = await ask(port, `/${J}`, { method: "HEAD" });
        assert.deepEqual([head.status, head.body, head.headers["x-write-head"]], [206, "", "5"], name);
        const end = await ask(port, `/${J}?offset=-1`);
        assert.deepEqual([end.status, end.headers["x-write-head"]], [416, "5"], name);
      }
    });
  });

  test("a GET that blocks -> a piece for each append; what it waits for ends with its client", async () => {
    await withDoors(async ({ members, primary, outsider }) => {
      await ask(primary.port, `/${J}`, { method: "PUT", body: "first" });
      const message = await begin(outsider.port, `/${J}?block=true&offset=2`, { method: "GET" });
      const pieces = message[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
      assert.equal(String((await pieces.next()).value), "rst");
      for (const part of ["second", "third"]) {
        await ask(outsider.port, `/${J}`, { method: "PUT", body: part });
        assert.equal(String((await pieces.next()).value), part);
      }
      message.destroy();
      await until(() => cancelledReads(members) === 2);
    });
  });

  test("refusals -> the same as at its primary", async () => {
    await withDoors(async ({ primary, outsider }) => {
      await ask(primary.port, `/${J}`, { method: "PUT", body: "hello" });
      for (const [path, method] of [
        [`/${J}?offset=77`, "PUT"],
        [`/${J}?offset=9`, "GET"],
        [`/${J}?offset=9`, "HEAD"],
        ["/not/there", "PUT"],
        ["/not/there", "GET"],
        [`/${J}?offset=x`, "GET"],
      ] as const) {
        const body = method === "PUT" ? { body: "x" } : {};
        const [here, there] = [
          await ask(outsider.port, path, { method, ...body }),
          await ask(primary.port, path, { method, ...body }),
        ];
        assert.deepEqual([here.status, here.body], [there.status, there.body], `${method} ${path}`);
        assert.ok(here.status >= 400);
      }
      assert.equal((await ask(outsider.port, `/${J}`)).body, "hello");
    });
  });

  test("a large PUT in chunks -> whole; a client that leaves in the middle -> nothing of it", async () => {
    await withDoors(async ({ primary, outsider, client }) => {
      const content = noise(12 * MIB);
      const abandoned = httpRequest({ port: outsider.port, host: "127.0.0.1", path: `/${J}`, method: "PUT" });
      abandoned.on("error", () => undefined);
      await new Promise<void>((written) => abandoned.write(content.subarray(0, 4 * MIB), () => written()));
      abandoned.destroy();
      const put = await ask(outsider.port, `/${J}`, {
        method: "PUT",
        body: content,
        headers: { "transfer-encoding": "chunked" },
      });
      const { headers } = put;
      assert.deepEqual([put.status, headers["x-commit-sha1-sum"]], [204, sumOf(content)]);
      assert.deepEqual([headers["x-commit-begin"], headers["x-commit-end"]], ["0", String(12 * MIB)]);
      for (const member of [outsider, primary]) {
        assert.equal(sumOf(await readAll(client(member), readRequest(J), never)), sumOf(content));
      }
    });
  });

  test("a GET whose client does not read -> its primary stops; then all of it", async () => {
    await withDoors(async ({ members, primary, outsider }) => {
      const content = noise(32 * MIB);
      for (let at = 0; at < content.length; at += 4 * MIB) {
        const part = content.subarray(at, at + 4 * MIB);
        await primary.transport.append(preamble(J), { kind: "bytes", bytes: [part] }, never);
      }
      const message = await begin(outsider.port, `/${J}`, { method: "GET" });
      const given = (): number => Math.max(...members.map((member) => readBytesOf(member)));
      const stopped = await settled(given);
      assert.ok(stopped > 0 && stopped < 20 * MIB, `${stopped} bytes were read for a client that reads none`);
      const got = concatBytes(await partsOf(message));
      assert.equal(sumOf(got), sumOf(content));
    });
  });
});

async function partsOf(message: IncomingMessage): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for await (const part of message as AsyncIterable<Buffer>) parts.push(part);
  return parts;
}

const metricOf = ({ metrics }: SocketMember, series: string): number => {
  const line = metrics
    .render()
    .split("\n")
    .find((each) => each.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
};

const readBytesOf = (member: SocketMember): number => metricOf(member, "millrace_broker_read_bytes_total");

const CANCELLED = 'gazette_journal_server_completed_totals{operation="Read",status="cancelled"}';

/** Ended by their clients: at the proxy, and at the member. */
const cancelledReads = (members: readonly SocketMember[]): number =>
  members.reduce((sum, member) => sum + metricOf(member, CANCELLED), 0);

describe("gRPC at a broker that does not have the journal", () => {
  test("appends, reads, listings of fragments -> as at its primary", async () => {
    await withDoors(async ({ primary, outsider, client }) => {
      const far = client(outsider);
      const set = labelSet(["author", "me"]);
      const step = async (fields: Parameters<typeof preamble>[1], what = bytes("x")): Promise<unknown> => {
        const { status, commit, registers, header } = await far.append(preamble(J, fields), what, never);
        assert.equal(header.processId.suffix, `broker-${primary.name}`);
        return [status, commit?.end, registers];
      };
      assert.deepEqual(await step({ unionRegisters: set }), ["OK", 1, set]);
      const check = parseLabelSelector("author = you");
      assert.deepEqual(await step({ checkRegisters: check }), ["REGISTER_MISMATCH", undefined, set]);
      assert.deepEqual(await step({ offset: 7 }), ["WRONG_APPEND_OFFSET", undefined, undefined]);
      assert.deepEqual(await step({ offset: 1 }, bytes("y", "", "z")), ["OK", 3, set]);
      for (const fields of [{}, { offset: 1, endOffset: 2 }, { metadataOnly: true }, { offset: -1 }]) {
        const [here, there] = [far, client(primary)].map((each) => each.read(readRequest(J, fields), never));
        const [a, b] = [await messagesOf(here!), await messagesOf(there!)];
        const content = (messages: readonly ReadResponse[]): unknown =>
          messages.map((message) => [message.status, message.offset, message.writeHead, message.content]);
        assert.deepEqual(content(a), content(b), JSON.stringify(fields));
        assert.deepEqual(a[0]!.header?.route, b[0]!.header?.route);
      }
      const fragments = newFragmentsRequest({ journal: J });
      const [here, there] = [far, client(primary)].map((each) => each.listFragments(fragments, never));
      assert.deepEqual((await here!).fragments, (await there!).fragments);
      assert.equal((await here!).fragments.length, 1);
    });
  });

  test("do_not_proxy -> refused by status, with the route; unknown journals -> not found", async () => {
    await withDoors(async ({ outsider, client }) => {
      const far = client(outsider);
      const append = await far.append(preamble(J, { doNotProxy: true }), bytes("x"), never);
      const [read] = await messagesOf(far.read(readRequest(J, { doNotProxy: true }), never));
      const listed = await far.listFragments(newFragmentsRequest({ journal: J, doNotProxy: true }), never);
      assert.deepEqual(
        [append.status, read?.status, listed.status],
        ["NOT_JOURNAL_PRIMARY_BROKER", "NOT_JOURNAL_BROKER", "NOT_JOURNAL_BROKER"],
      );
      for (const header of [append.header, read?.header, listed.header]) {
        assert.equal(header?.route.members.length, 2);
      }
      const none = await far.append(preamble("not/there"), bytes("x"), never);
      const [nothing] = await messagesOf(far.read(readRequest("not/there"), never));
      assert.deepEqual([none.status, nothing?.status], ["JOURNAL_NOT_FOUND", "JOURNAL_NOT_FOUND"]);
    });
  });

  test("a read that blocks -> what comes later; its client's abort ends it at the member, too", async () => {
    await withDoors(async ({ members, primary, outsider, client }) => {
      const abort = new AbortController();
      const read = client(outsider).read(readRequest(J, { block: true }), abort.signal);
      const messages = read[Symbol.asyncIterator]();
      const first = messages.next();
      await client(primary).append(preamble(J), bytes("later"), never);
      assert.equal((await first).value?.status, "OK");
      assert.equal(text(((await messages.next()).value as ReadResponse).content!), "later");
      const next = messages.next();
      abort.abort(new Error("enough"));
      await assert.rejects(next);
      await until(() => cancelledReads(members) === 2);
    });
  });

  test("a client that stalls is cut, also behind a proxy; one that waits for it is not read ahead", async () => {
    await withDoors(async ({ outsider, client }) => {
      const content = noise(32 * MIB);
      let pulled = 0;
      const stalling = (async function* () {
        // More than is collected before an append begins: it has the pipeline then.
        yield noise(MIB / 2);
        await new Promise(() => undefined);
      })();
      const pulling = (async function* () {
        for (let at = 0; at < content.length; at += MIB / 4) {
          const part = content.subarray(at, at + MIB / 4);
          pulled += part.length;
          yield part;
        }
      })();
      const far = client(outsider);
      const held = far.append(preamble(J), { kind: "chunks", chunks: stalling }, never).then(
        () => assert.fail("it has no end"),
        (error: unknown) => ({ error: WireError.from(error), pulled }),
      );
      await settled(() => 0);
      const answer = await client(outsider).append(preamble(J), { kind: "chunks", chunks: pulling }, never);
      const { error, pulled: before } = await held;
      assert.match(error.message, /didn't sustain the minimum append data rate/);
      assert.ok(before < 20 * MIB, `${before} bytes were taken from a client that waits`);
      assert.deepEqual([answer.commit?.begin, answer.commit?.sum], [0, sumOf(content)]);
    });
  });
});

test("any broker, by HTTP and gRPC, right after an acknowledgement by any other -> all of it is read", async () => {
  await withDoors(async ({ members, client }) => {
    const clients = members.map((member) => ({ member, transport: client(member) }));
    const read = async (at: number, offset: number): Promise<string> => {
      const { member, transport } = clients[at % 3]!;
      if (at % 2 === 0) return (await ask(member.port, `/${J}?offset=${offset}`)).body;
      return text(await readAll(transport, readRequest(J, { offset }), never));
    };
    for (let round = 0; round < 120; round++) {
      const content = `${round} `.repeat(1 + (round % 7) * 200);
      const { status, commit } = await clients[round % 3]!.transport.append(
        preamble(J),
        bytes(content),
        never,
      );
      assert.equal(status, "OK");
      const all = await Promise.all([0, 1, 2, 3, 4, 5].map((at) => read(at, commit!.begin)));
      for (const [at, got] of all.entries())
        assert.ok(got === content, `round ${round}, reader ${at}: ${got}`);
    }
  }, 64 * 1024);
});
