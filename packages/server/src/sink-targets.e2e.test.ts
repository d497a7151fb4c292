// Sinks with targets outside the warehouse, on a real platform and a real PostgreSQL behind a network that can stall.
import assert from "node:assert/strict";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { missingPostgres, PostgresServer } from "@millrace/targets/testkit";
import { testApi } from "./test-api.ts";
import { ask, post } from "./test-http.ts";
import { parquetRows } from "./test-parquet-rows.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";
import {
  createSink,
  createSource,
  finished,
  pathColumn,
  sourcesUrl,
  sql,
  waitForRows,
} from "./test-streams.ts";

const COLUMNS = [{ type: "uuid", name: "id" }, { type: "datetime", name: "at" }, pathColumn("n")];
const LIMIT_MS = 60_000;
const skip = missingPostgres();

/** A way to PostgreSQL on which, when told so, nothing goes on and nobody hangs up. */
class StallingNetwork {
  state: "passes" | "stalls" | "refuses" = "passes";
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.#server = createServer((client) => {
      if (this.state === "refuses") return void client.destroy();
      const server = connect(port, "127.0.0.1");
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        this.#sockets.add(from);
        from.on("data", (bytes) => this.state === "stalls" || to.write(bytes));
        from.on("error", () => undefined);
        from.on("close", () => {
          this.#sockets.delete(from);
          to.destroy();
        });
      }
    });
  }

  static async start(port: number): Promise<StallingNetwork> {
    const network = new StallingNetwork(port);
    await new Promise<void>((resolve) => network.#server.listen(0, "127.0.0.1", resolve));
    return network;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** From now on nobody gets through. */
  cut(): void {
    this.state = "refuses";
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

describe("sink targets", { skip }, () => {
  const data = scratch();
  let platform: TestPlatform;
  let server: PostgresServer;
  let login: Readonly<Record<string, unknown>>;
  before(async () => {
    server = await PostgresServer.start();
    const { host, port, database, user, password } = await server.database();
    login = { host, port, database, user, password, sslMode: "disable" };
    platform = await TestPlatform.start(data);
  });
  after(async () => {
    await platform.stop();
    await server.stop();
  });

  const table = (name: string, target: object): object => {
    return { ...target, tableId: `main.${name}`, mapping: { columns: COLUMNS } };
  };
  const inPostgres = async (name: string): Promise<readonly string[]> => {
    const { database } = login as { database: string };
    const query = `SELECT n FROM main."${name}" ORDER BY n::int`;
    return (await server.run({ ...server.connection, database }, query)).map(([n]) => n!);
  };
  const waitForPostgres = (name: string, count: number): Promise<void> =>
    until(`main.${name} has ${count} rows`, LIMIT_MS, async () => {
      const found = await inPostgres(name);
      assert.equal(new Set(found).size, found.length, "no row stands twice");
      return found.length === count;
    });

  async function send(url: string, ...numbers: readonly number[]): Promise<void> {
    for (const n of numbers) assert.equal((await post(url, { n })).status, 200);
  }

  test("a login that does not fit, or a port where nobody is -> 400 with the target and the reason", async () => {
    await createSource(platform.endpoints, "refused");
    const sinks = `${sourcesUrl(platform.endpoints)}/refused/sinks`;
    const tries: readonly (readonly [object, RegExp])[] = [
      [
        { ...login, password: "wrong" },
        /^Postgres 127\.0\.0\.1:\d+\/test_\d+: PostgreSQL: password authentication failed/,
      ],
      [{ ...login, database: "none" }, /PostgreSQL: database "none" does not exist/],
      [{ ...login, port: 1 }, /127\.0\.0\.1:1\/test_\d+: PostgreSQL cannot be reached: connect ECONNREFUSED/],
      [{ ...login, sslMode: "verify-full" }, /PostgreSQL cannot be reached: self.signed certificate/],
    ];
    for (const [connection, message] of tries) {
      const body = { type: "table", name: "x", table: table("x", { type: "postgres", connection }) };
      const answer = await post(sinks, body);
      assert.equal(answer.status, 400, answer.text);
      assert.match(String(answer.json()["message"]), message);
      assert.ok(!answer.text.includes(String(login["password"])));
    }
  });

  test("TLS: a certificate by the given authority -> rows over verify-full", async () => {
    const url = await createSource(platform.endpoints, "tls");
    const connection = { ...login, sslMode: "verify-full", sslRootCert: server.certificate };
    await createSink(
      platform.endpoints,
      { sourceId: "tls", sinkId: "tls" },
      table("tls", { type: "postgres", connection }),
    );
    await send(url, 1, 2);
    await waitForPostgres("tls", 2);
  });

  test("a sink goes to PostgreSQL, to files and back to the warehouse -> each row once", async () => {
    const { endpoints } = platform;
    const url = await createSource(endpoints, "moves");
    await createSink(endpoints, { sourceId: "moves", sinkId: "m" }, table("moves", { type: "duckdb" }));
    await send(url, 1, 2);
    await waitForRows(endpoints, "main.moves", 2);
    const move = async (target: object): Promise<void> => {
      const answer = await ask(`${sourcesUrl(endpoints)}/moves/sinks/m`, {
        method: "PATCH",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ table: target }),
      });
      await finished(endpoints, answer);
    };
    const files = join(data, "tables", "moves", "main", "moves");
    const everywhere = async (): Promise<readonly number[]> => {
      const inWarehouse = await sql(endpoints, "select n from main.moves");
      const inFiles = await parquetRows(files, "SELECT n FROM $table");
      const all = [
        ...inWarehouse.map(({ n }) => n),
        ...inFiles.map(([n]) => n),
        ...(await inPostgres("moves")),
      ];
      return all.map(Number).sort((a, b) => a - b);
    };
    await move({ type: "postgres", connection: login });
    await send(url, 3, 4, 5);
    await move({ type: "parquet", connection: { url: "file:///moves/" } });
    await send(url, 6);
    await move({ type: "duckdb" });
    await send(url, 7, 8);
    const expected = [1, 2, 3, 4, 5, 6, 7, 8];
    await until(
      "all rows are somewhere",
      LIMIT_MS,
      async () => (await everywhere()).length >= expected.length,
    );
    assert.deepEqual(await everywhere(), expected);
    await send(url, 9);
    await until("the next one is in the warehouse", LIMIT_MS, async () => {
      return (await sql(endpoints, "select n from main.moves where n = '9'")).length === 1;
    });
  });

  test("a creation while one of the same sink runs -> 409 with its text; the first one ends well", async () => {
    const { endpoints } = platform;
    const api = testApi(() => endpoints);
    await createSource(endpoints, "twice");
    const sinks = "/v1/branches/default/sources/twice/sinks";
    const { database } = login as { database: string };
    // The schema is not there for who looks, and whoever makes it waits.
    const release = await server.hold({ ...server.connection, database }, "CREATE SCHEMA held");
    const body = {
      type: "table",
      name: "t",
      sinkId: "t",
      table: { type: "postgres", connection: login, tableId: "held.t", mapping: { columns: COLUMNS } },
    };
    const first = await api.call("POST", sinks, body);
    assert.deepEqual([first.status, first.body["status"]], [202, "processing"]);
    const second = await api.refused("POST", sinks, body, 409, "sinkAlreadyExists");
    assert.equal(second, 'Sink "1/1/twice/t" already exists in the source.');
    release();
    await until("the first one has ended", LIMIT_MS, async () => {
      const task = await api.get(new URL(String(first.body["url"])).pathname);
      assert.notEqual(task["status"], "error", JSON.stringify(task));
      return task["status"] === "success";
    });
    const third = await api.refused("POST", sinks, body, 409, "sinkAlreadyExists");
    assert.equal(third, 'Sink "t" already exists in the source.');
    assert.equal((await api.get(`${sinks}/t`))["sinkId"], "t");
  });

  test("a PostgreSQL that hangs -> other sinks have their rows, it says why, and all is there in the end", async () => {
    const { endpoints } = platform;
    const network = await StallingNetwork.start(Number(login["port"]));
    try {
      const connection = { ...login, port: network.port };
      const hanging: string[] = [];
      for (let i = 0; i < 6; i++) {
        const id = `hangs${i}`;
        hanging.push(await createSource(endpoints, id));
        await createSink(
          endpoints,
          { sourceId: id, sinkId: id },
          table(id, { type: "postgres", connection }),
        );
      }
      const url = await createSource(endpoints, "works");
      await createSink(endpoints, { sourceId: "works", sinkId: "d" }, table("works", { type: "duckdb" }));
      const beside = table("works", { type: "postgres", connection: login });
      await createSink(endpoints, { sourceId: "works", sinkId: "p" }, beside);
      for (const one of hanging) await send(one, 1);
      for (let i = 0; i < 6; i++) await waitForPostgres(`hangs${i}`, 1);
      network.state = "stalls";
      for (const one of hanging) await send(one, 2);
      for (let n = 1; n <= 20; n++) {
        await send(url, n);
        await waitForRows(endpoints, "main.works", n);
        await waitForPostgres("works", n);
      }
      assert.deepEqual(await inPostgres("hangs0"), ["1"]);
      network.cut();
      const files = `${sourcesUrl(endpoints)}/hangs0/sinks/hangs0/statistics/files?failedFiles=true`;
      const why = `import into main.hangs0 of postgres 127.0.0.1:${network.port}/`;
      await until("the sink says why", LIMIT_MS, async () => {
        const { text } = await ask(files);
        return text.includes(why) && text.includes("PostgreSQL cannot be reached");
      });
      network.state = "passes";
      for (let i = 0; i < 6; i++) await waitForPostgres(`hangs${i}`, 2);
    } finally {
      await network.stop();
    }
  });
});
