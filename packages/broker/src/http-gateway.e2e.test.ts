import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { spawn, spawnSync } from "node:child_process";
import { connect } from "node:net";
import { Readable } from "node:stream";
import { test } from "node:test";
import { concatBytes, never, silentLogger, systemClock, text, utf8, WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { HttpTransport, readJournal } from "@millrace/client";
import { journalSpec, openTestBroker, preamble, readAll, readRequest } from "./broker-testkit.ts";
import { contentPath, newFragment } from "@millrace/protocol";
import { memoryStore } from "@millrace/stores/testkit";
import type { Principal } from "./authoriser.ts";
import { FakeSpools } from "./fake-spools.ts";
import { ask, begin, openTestGateway, type TestGateway } from "./http-testkit.ts";
import type { GatewayOptions } from "./http-gateway.ts";
import type { TestBroker } from "./broker-testkit.ts";

const STORE = "file:///earlier/";

interface Fixture {
  readonly gateway: TestGateway;
  readonly broker: TestBroker;
  readonly spools: FakeSpools;
  readonly port: number;
}

const { name: _, ...template } = journalSpec("examples/foobar");

async function withGateway(
  run: (fixture: Fixture) => Promise<void>,
  options: Partial<GatewayOptions> = {},
): Promise<void> {
  const spools = new FakeSpools();
  const broker = await openTestBroker({ spools, autoCreate: [{ prefix: "examples/", template }] });
  const gateway = await openTestGateway(broker, options);
  try {
    await run({ gateway, broker, spools, port: gateway.port });
  } finally {
    await gateway.close();
    await broker.close();
  }
}

test("gateway: PUT to a journal that a rule creates -> 204, and GET reads it back with all headers", async () => {
  await withGateway(async ({ port }) => {
    const put = await ask(port, "/examples/foobar", { method: "PUT", body: "hello" });
    assert.equal(put.status, 204);
    assert.equal(put.headers["x-commit-begin"], "0");
    assert.equal(put.headers["x-commit-end"], "5");
    assert.equal(put.headers["x-write-head"], "5");
    assert.equal(put.headers["x-commit-sha1-sum"], "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
    assert.equal(put.headers["location"], "http://localhost:8080/examples/foobar");
    const token = 'members:<zone:"local" suffix:"broker" > endpoints:"http://localhost:8080" ';
    assert.equal(put.headers["x-route-token"], token.trim());

    const got = await ask(port, "/examples/foobar");
    assert.equal(got.status, 206);
    assert.equal(got.body, "hello");
    const whole = "9223372036854775807";
    assert.equal(got.headers["content-range"], `bytes 0-${whole}/${whole}`);
    assert.equal(got.headers["x-write-head"], "5");
    const name = "0000000000000000-0000000000000005-aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d.raw";
    assert.equal(got.headers["x-fragment-name"], name);
    assert.equal(got.headers["trailer"], "X-Close-Error");
    assert.equal(got.trailers["x-close-error"], "OFFSET_NOT_YET_AVAILABLE");
  });
});

test("gateway: offset in the query -> reads from there; at the head -> 416; HEAD -> headers only", async () => {
  await withGateway(async ({ port }) => {
    await ask(port, "/examples/foobar", { method: "PUT", body: "hello world" });
    assert.equal((await ask(port, "/examples/foobar?OFFSET=7")).body, "orld");
    const beyond = await ask(port, "/examples/foobar?offset=-1");
    assert.deepEqual([beyond.status, beyond.body], [416, "OFFSET_NOT_YET_AVAILABLE\n"]);
    assert.equal(beyond.headers["x-write-head"], "11");
    const head = await ask(port, "/examples/foobar?offset=3", { method: "HEAD" });
    assert.deepEqual([head.status, head.body, head.headers["trailer"]], [206, "", undefined]);
    assert.match(String(head.headers["content-range"]), /^bytes 3-/);
  });
});

test("gateway: a blocking GET -> a piece for each append while they are made", async () => {
  await withGateway(async ({ port, broker }) => {
    await ask(port, "/examples/foobar", { method: "PUT", body: "first" });
    const message = await begin(port, "/examples/foobar?offset=2&block=true", { method: "GET" });
    const pieces = message[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    assert.equal(String((await pieces.next()).value), "rst");
    for (const text of ["second", "third"]) {
      await broker.transport.append(
        preamble("examples/foobar"),
        { kind: "bytes", bytes: [utf8(text)] },
        new AbortController().signal,
      );
      assert.equal(String((await pieces.next()).value), text);
    }
    message.destroy();
  });
});

test("gateway: below /debug/ -> diagnostics, and 404 for those that are not there; private -> journals", async () => {
  const variables = (): string => '{"pid":7}';
  await withGateway(
    async ({ port }) => {
      const vars = await ask(port, "/debug/vars");
      assert.deepEqual([vars.status, vars.body], [200, '{"pid":7}\n']);
      assert.match(String(vars.headers["content-type"]), /^application\/json/);
      const here = "not found: /debug/ready, /debug/metrics and /debug/vars are here\n";
      for (const [path, method] of [
        ["/debug/pprof/", "GET"],
        ["/debug/requests", "GET"],
        ["/debug/journal", "PUT"],
      ] as const) {
        const { status, body } = await ask(port, path, { method, ...(method === "PUT" && { body: "x" }) });
        assert.deepEqual([path, status, body], [path, 404, here]);
      }
    },
    { variables },
  );
  await withGateway(
    async ({ port }) => {
      for (const path of ["/debug/vars", "/debug/metrics"])
        assert.equal((await ask(port, path)).body, "JOURNAL_NOT_FOUND\n", path);
    },
    { variables, debug: false },
  );
});

const REFUSED: readonly (readonly [
  what: string,
  path: string,
  method: string,
  status: number,
  body: string,
  sent?: string,
])[] = [
  ["missing journal", "/not/here", "GET", 404, "JOURNAL_NOT_FOUND\n"],
  ["PUT of a missing journal", "/not/here", "PUT", 404, "JOURNAL_NOT_FOUND\n"],
  ["unknown argument", "/examples/foobar?extra=1", "GET", 400, 'schema: invalid path "extra"\n'],
  ["bad offset", "/examples/foobar?offset=x", "GET", 400, 'schema: error converting value for "offset"\n'],
  ["argument on PUT", "/examples/foobar?block=1", "PUT", 400, 'schema: invalid path "block"\n'],
  [
    "bad offset value",
    "/examples/foobar?offset=-2",
    "GET",
    400,
    "invalid Offset (-2; expected -1 <= Offset <= MaxInt64)\n",
  ],
  ["bad name", "/zz", "GET", 400, "Journal: invalid length (2; expected 4 <= length <= 512)\n"],
  ["other method", "/examples/foobar", "DELETE", 400, "unknown method: DELETE\n"],
  [
    "unclean path",
    "/examples//foobar?offset=1&block=true",
    "GET",
    307,
    '<a href="/examples/foobar?offset=1&amp;block=true">Temporary Redirect</a>.\n\n',
  ],
  [
    "REST with an invalid selector",
    "/v1/journals/list",
    "POST",
    400,
    '{"error":{"grpcCode":3,"httpCode":400,"message":"Selector.Include.Labels[0].Name: not a valid token (a b)",' +
      '"httpStatus":"Bad Request","details":[]}}',
    '{"selector":{"include":{"labels":[{"name":"a b","value":"x"}]}}}',
  ],
  ["path with encoded dots", "/one%2f..%2ftwo", "PUT", 400, "Journal: must be a clean path (one/../two)\n"],
  ["unknown REST path", "/v1/other", "POST", 501, '{"code":12,"message":"Not Implemented","details":[]}'],
  ["REST without JSON", "/v1/journals/list", "POST", 400, ""],
];

for (const [what, path, method, status, body, sent = "{"] of REFUSED) {
  test(`gateway: ${what} -> ${status}`, async () => {
    await withGateway(async ({ port }) => {
      const answer = await ask(port, path, { method, ...(method === "GET" ? {} : { body: sent }) });
      assert.equal(answer.status, status);
      if (body !== "") assert.equal(answer.body, body);
      if (status === 404) assert.equal(answer.headers["x-error-code"], "JOURNAL_NOT_FOUND");
    });
  });
}

test("gateway: REST with null as its body -> as with an empty message", async () => {
  await withGateway(async ({ port }) => {
    const bodies = ["null", "{}"].map((body) => ask(port, "/v1/journals/list", { method: "POST", body }));
    const [none, empty] = await Promise.all(bodies);
    assert.deepEqual([none!.status, none!.body], [200, empty!.body]);
  });
});

test("gateway: PUT to an unclean path -> 307, which makes clients send it again as it was", async () => {
  await withGateway(async ({ port }) => {
    const moved = await ask(port, "/examples//foobar?offset=0", { method: "PUT", body: "hello" });
    assert.deepEqual(
      [moved.status, moved.headers["location"], moved.body],
      [307, "/examples/foobar?offset=0", ""],
    );
    const url = `http://127.0.0.1:${port}/examples//foobar`;
    assert.equal((await fetch(url, { method: "PUT", body: "hello" })).status, 204);
    assert.equal((await ask(port, "/examples/foobar")).body, "hello");
  });
});

test("gateway: bytes that rotted -> the status says so; found in mid-body, the trailer; clients are told", async () => {
  await withGateway(async ({ port, spools }) => {
    await ask(port, "/examples/foobar", { method: "PUT", body: "hello" });
    spools.rottenFrom = 3;
    const path = "spools/fake.raw, offset 3: rotten";
    const refused = await ask(port, "/examples/foobar?offset=3");
    assert.deepEqual(
      [refused.status, refused.headers["x-error-code"], refused.body],
      [500, "CORRUPT", `${path}\n`],
    );
    const begun = await ask(port, "/examples/foobar");
    assert.deepEqual(
      [begun.status, begun.body, begun.trailers["x-close-error"]],
      [206, "hel", `CORRUPT: ${path}`],
    );
    const client = new HttpTransport({ address: `http://127.0.0.1:${port}`, token: "", connections: 1 });
    try {
      for (const offset of [0, 3])
        await assert.rejects(readAll(client, readRequest("examples/foobar", { offset }), never), {
          code: "CORRUPT",
          message: path,
        });
    } finally {
      await client.close();
    }
  });
});

test("gateway: a hole -> a client that does not wait is told its begin and end", async () => {
  await withGateway(async ({ port, spools }) => {
    await ask(port, "/examples/foobar", { method: "PUT", body: "hello" });
    spools.spools.get("examples/foobar")!.roll(20);
    await ask(port, "/examples/foobar", { method: "PUT", body: "world" });
    const transport = new HttpTransport({ address: `http://127.0.0.1:${port}`, token: "", connections: 1 });
    const ports = { transport, clock: systemClock, logger: silentLogger };
    const read = async (offset: number): Promise<string> => {
      const parts: Uint8Array[] = [];
      for await (const event of readJournal(
        ports,
        { journal: "examples/foobar", offset, block: false },
        never,
      ))
        if (event.kind === "content") parts.push(event.bytes);
      return text(concatBytes(parts));
    };
    try {
      assert.equal(await read(20), "world");
      for (const begin of [0, 5, 7]) {
        const facts = { journal: "examples/foobar", begin: Math.max(5, begin), end: 20 };
        await assert.rejects(read(begin), { code: "OFFSET_NOT_YET_AVAILABLE", facts });
      }
      assert.equal(await read(25), "");
    } finally {
      await transport.close();
    }
  });
});

test("gateway: a full disk -> PUT 507 and not ready, reads go on, and it recovers", async () => {
  await withGateway(async ({ port, spools }) => {
    await ask(port, "/examples/foobar", { method: "PUT", body: "kept" });
    spools.isFull = true;
    const refused = await ask(port, "/examples/foobar", { method: "PUT", body: "refused" });
    assert.deepEqual([refused.status, refused.headers["x-error-code"]], [507, "DISK_FULL"]);
    assert.equal(refused.headers["retry-after"], "1");
    assert.equal((await ask(port, "/readyz")).status, 503);
    assert.equal((await ask(port, "/livez")).status, 200);
    assert.equal((await ask(port, "/examples/foobar")).body, "kept");
    const large = await ask(port, "/examples/foobar", { method: "PUT", body: "x".repeat(2_000_000) });
    assert.equal(large.status, 507);
    spools.isFull = false;
    assert.equal((await ask(port, "/examples/foobar", { method: "PUT", body: "!" })).status, 204);
    assert.equal((await ask(port, "/examples/foobar")).body, "kept!");
    assert.equal((await ask(port, "/readyz")).status, 200);
  });
});

test("gateway: a journal that nobody may PUT to -> 403 and why; it is read as any other", async () => {
  const refuseAppend = (journal: string): string | undefined =>
    journal === "examples/closed" ? `journal ${journal} is closed` : undefined;
  const options: Partial<GatewayOptions> = { refuseAppend };
  await withGateway(async ({ port, broker }) => {
    const content = { kind: "bytes", bytes: [utf8("kept")] } as const;
    await broker.transport.append(preamble("examples/closed"), content, never);
    for (const path of ["/examples/closed", "/examples/closed;meta"]) {
      const { status, body } = await ask(port, path, { method: "PUT", body: "x" });
      assert.deepEqual([status, body], [403, "journal examples/closed is closed\n"]);
    }
    assert.equal((await ask(port, "/examples/closed")).body, "kept");
    assert.equal((await ask(port, "/examples/open", { method: "PUT", body: "x" })).status, 204);
  }, options);
});

test("gateway: something is wrong though it serves -> ready, with a line that says so", async () => {
  const options = { degraded: () => ["1 fragment store failed the last check"] };
  await withGateway(async ({ port }) => {
    const { status, body } = await ask(port, "/readyz");
    assert.deepEqual([status, body], [200, "ok\ndegraded: 1 fragment store failed the last check\n"]);
  }, options);
});

test("gateway: REST asks whether a store works -> what its check says; no store -> 400", async () => {
  await withGateway(async ({ port, broker }) => {
    const asked = async (request: unknown): Promise<Record<string, unknown>> => {
      const body = JSON.stringify(request);
      const answer = await ask(port, "/v1/journals/store-health", { method: "POST", body });
      return { ...(JSON.parse(answer.body) as Record<string, unknown>), http: answer.status };
    };
    const healthy = { http: 200, status: "OK", storeHealthError: "" };
    const { header, ...answer } = await asked({ fragmentStore: "file:///any/", checkDelete: true });
    assert.deepEqual(answer, healthy);
    assert.ok(header !== undefined);
    const ended = broker.metrics.counter("gazette_journal_server_completed_totals", "");
    assert.equal(ended.value({ operation: "FragmentStoreHealth", status: "ok" }), 1);
    assert.equal((await asked({ fragmentStore: "no-url" })).http, 400);
    assert.equal((await asked({ fragmentStore: "file:///any/", checkDeletePrefix: "x/" })).http, 400);
  });
});

test("gateway: the authoriser refuses -> 401 on journals, REST and metrics, but not on probes", async () => {
  const authorise = (): Principal => {
    throw new WireError("UNAUTHENTICATED", "missing or empty Authorization token");
  };
  await withGateway(
    async ({ port }) => {
      for (const path of ["/examples/foobar", "/metrics"]) assert.equal((await ask(port, path)).status, 401);
      const put = await ask(port, "/examples/foobar", { method: "PUT", body: "x" });
      assert.deepEqual([put.status, put.body], [401, "missing or empty Authorization token\n"]);
      const list = await ask(port, "/v1/journals/list", { method: "POST" });
      const body =
        '{"error":{"grpcCode":16,"httpCode":401,"message":"missing or empty Authorization token",' +
        '"httpStatus":"Unauthorized","details":[]}}';
      assert.deepEqual([list.status, list.body], [401, body]);
      assert.equal((await ask(port, "/livez")).status, 200);
    },
    { authorise },
  );
});

test("gateway: a large body in pieces -> one append; one over the bound -> 413", async () => {
  await withGateway(
    async ({ port }) => {
      const large = "x".repeat(900_000);
      const put = await ask(port, "/examples/foobar", { method: "PUT", body: large });
      assert.deepEqual([put.status, put.headers["x-commit-end"]], [204, "900000"]);
      assert.equal((await ask(port, "/examples/foobar")).body, large);
      assert.equal(
        (await ask(port, "/examples/foobar", { method: "PUT", body: `${large}${large}` })).status,
        413,
      );
    },
    { putBytesMax: 1_000_000 },
  );
});

test("REST: list, apply, read and fragments speak the protocol's JSON", async () => {
  await withGateway(async ({ port }) => {
    await ask(port, "/examples/foobar", { method: "PUT", body: "hello" });
    const list = await ask(port, "/v1/journals/list", { method: "POST" });
    const { result } = JSON.parse(list.body) as {
      result: { status: string; journals: { modRevision: string }[] };
    };
    assert.equal(result.status, "OK");
    assert.match(result.journals[0]!.modRevision, /^[0-9]+$/);

    const read = await ask(port, "/v1/journals/read", {
      method: "POST",
      body: '{"journal":"examples/foobar","offset":"1"}',
    });
    const messages = read.body
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { result: { content: string | null } }).result);
    assert.equal(Buffer.from(messages[1]!.content!, "base64").toString(), "ello");

    const removal = { changes: [{ delete: "examples/foobar", expectModRevision: "99" }] };
    const apply = await ask(port, "/v1/journals/apply", { method: "POST", body: JSON.stringify(removal) });
    assert.equal((JSON.parse(apply.body) as { status: string }).status, "ETCD_TRANSACTION_FAILED");

    const fragments = await ask(port, "/v1/journals/fragments", {
      method: "POST",
      body: '{"journal":"examples/foobar"}',
    });
    const listed = JSON.parse(fragments.body) as { fragments: { spec: { end: string } }[] };
    assert.equal(listed.fragments[0]!.spec.end, "5");
  });
});

test("gateway: a client that leaves in the middle of its body -> nothing of it is appended", async () => {
  await withGateway(async ({ port, broker }) => {
    await ask(port, "/examples/foobar", { method: "PUT", body: "kept" });
    const socket = connect(port, "127.0.0.1");
    const head = "PUT /examples/foobar HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n";
    socket.write(head + "x".repeat(400_000));
    await once(socket, "drain");
    socket.destroy();
    await once(socket, "close");
    const barrier = { kind: "bytes", bytes: [] } as const;
    const { commit } = await broker.transport.append(preamble("examples/foobar"), barrier, never);
    assert.equal(commit?.end, 4);
  });
});

test("gateway: a suspended journal -> reads 409 SUSPENDED, a PUT wakes it", async () => {
  await withGateway(async ({ port, broker }) => {
    const content = { kind: "bytes", bytes: [] } as const;
    const suspend = preamble("examples/foobar", { suspend: "SUSPEND_NOW" });
    assert.equal((await broker.transport.append(suspend, content, never)).status, "SUSPENDED");
    const read = await ask(port, "/examples/foobar");
    assert.deepEqual([read.status, read.body], [409, "SUSPENDED\n"]);
    assert.equal((await ask(port, "/examples/foobar", { method: "PUT", body: "x" })).status, 204);
  });
});

const hasCurl = spawnSync("curl", ["--version"]).status === 0;

test(
  "gateway: the tutorial's lines with curl -> appended, read, read from an offset, followed",
  { skip: hasCurl ? false : "no curl" },
  async () => {
    await withGateway(async ({ port }) => {
      const url = `http://localhost:${port}/examples/foobar`;
      const curl = (args: readonly string[], input = ""): Promise<string> =>
        run(["-s", "-4", ...args], input);
      for (const line of ["hello\n", "world\n"]) {
        assert.equal(await curl(["-X", "PUT", "--data-binary", "@-", url], line), "");
      }
      assert.equal(await curl([url]), "hello\nworld\n");
      assert.equal(await curl([`${url}?offset=7`]), "orld\n");
      const following = spawn("curl", ["-s", "-4", "-N", `${url}?offset=7&block=true`]);
      const pieces = following.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
      assert.equal(String((await pieces.next()).value), "orld\n");
      await curl(["-T", "-", url], "again\n");
      assert.equal(String((await pieces.next()).value), "again\n");
      following.kill();
      await once(following, "close");
    });
  },
);

async function run(args: readonly string[], input: string): Promise<string> {
  const child = spawn("curl", args);
  child.stdin.end(input);
  let out = "";
  for await (const part of child.stdout as AsyncIterable<Buffer>) out += String(part);
  return out;
}

test("gateway: PUT over fragments of an earlier life -> refused with the way on, which is an offset", async () => {
  const store = memoryStore({ url: STORE, clock: systemClock, random: seededRandom("earlier") });
  const content = "earlier life";
  const sum = createHash("sha1").update(content).digest("hex");
  const fragment = newFragment({ journal: "examples/foobar", end: 12, sum, compressionCodec: "NONE" });
  await store.put(contentPath(fragment), Readable.from([utf8(content)]), {}, never);
  const stored = { ...template, fragment: { ...template.fragment, stores: [STORE] } };
  const autoCreate = [{ prefix: "examples/", template: stored }];
  const broker = await openTestBroker({ autoCreate, stores: { open: () => store }, clock: systemClock });
  const gateway = await openTestGateway(broker);
  try {
    const put = (query: string) =>
      ask(gateway.port, `/examples/foobar${query}`, { method: "PUT", body: "!" });
    const refused = await put("");
    assert.equal(refused.status, 409);
    assert.match(refused.body, /^INDEX_HAS_GREATER_OFFSET: .* PUT \?offset=N goes on there\n$/);
    const { headers } = await ask(gateway.port, "/examples/foobar?offset=-1", { method: "HEAD" });
    assert.equal(headers["x-write-head"], "12");
    assert.equal((await put("?offset=11")).body, "WRONG_APPEND_OFFSET\n");
    assert.equal((await put("?offset=12")).headers["x-commit-begin"], "12");
    assert.equal((await put("")).headers["x-commit-begin"], "13");
  } finally {
    await gateway.close();
    await broker.close();
  }
});

test("gateway: a body of which nothing more comes -> its connection is cut, and the journal goes on", async () => {
  await withGateway(
    async ({ port }) => {
      for (const sent of ["x", "x".repeat(300_000)]) {
        const socket = connect(port, "127.0.0.1");
        const closed = once(socket, "close");
        socket.on("error", () => undefined);
        socket.resume();
        socket.write(
          `PUT /examples/foobar HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400000\r\n\r\n${sent}`,
        );
        await closed;
      }
      const put = await ask(port, "/examples/foobar", { method: "PUT", body: "whole" });
      assert.equal(put.headers["x-commit-begin"], "0");
    },
    { putIdleMs: 100 },
  );
});
