import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { never, systemClock, WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import type { Column, PartitionLoad, TargetRef } from "@millrace/ingest";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import type { PostgresConnection } from "./postgres-connection.ts";
import { PostgresFaultProxy } from "./postgres-fault-proxy.ts";
import { PostgresSession } from "./postgres-session.ts";
import { PostgresTarget } from "./postgres-target.ts";
import { stageLoad } from "./staged-fixture.ts";
import type { TargetRow } from "./target-rows.ts";
import { missingPostgres, PostgresServer } from "./system-postgres-server.ts";
import { targetConformance, type TargetSubject } from "./target-conformance.ts";

const skip = missingPostgres();
const body: Column = { type: "body", name: "body" };
const id: Column = { type: "uuid", name: "id" };

/** A target is one place: it looks at the table alone. */
function refOf(tableId: string): TargetRef {
  return { kind: "duckdb", tableId };
}

describe("postgres", { skip }, () => {
  let server: PostgresServer;
  before(async () => {
    server = await PostgresServer.start();
  });
  after(() => server.stop());

  const staging = (): MemoryStore => memoryStore({ clock: systemClock, random: seededRandom("staging") });

  function opened(connection: PostgresConnection, stagingStore: MemoryStore): PostgresTarget {
    return new PostgresTarget({ connection, stagingStore, clock: systemClock });
  }

  async function rowsOf(connection: PostgresConnection, tableId: string): Promise<readonly TargetRow[]> {
    const table = tableId
      .split(".")
      .map((part) => `"${part}"`)
      .join(".");
    const rows = await server
      .run(connection, `SELECT to_jsonb(t)::text FROM ${table} AS t`)
      .catch((error: unknown) => {
        if ((error as { code?: string }).code === "42P01" || (error as { code?: string }).code === "3F000")
          return [];
        throw error;
      });
    return rows.map(([json]) => {
      const { _journal, _offset, ...values } = JSON.parse(json!) as Record<string, string | null>;
      return { journal: _journal!, offset: Number(_offset), values };
    });
  }

  async function subject(): Promise<TargetSubject> {
    const connection = await server.database();
    const proxy = await PostgresFaultProxy.start(connection.port);
    const stagingStore = staging();
    const target = opened({ ...connection, port: proxy.port }, stagingStore);
    const others: PostgresTarget[] = [];
    return {
      target,
      staging: stagingStore,
      rows: (tableId) => rowsOf(connection, tableId),
      again: () => {
        others.push(opened(connection, stagingStore));
        return Promise.resolve(others.at(-1)!);
      },
      failNext: (when) => {
        proxy.fault = when;
      },
      close: async () => {
        for (const one of [target, ...others]) one.close();
        await proxy.stop();
      },
    };
  }

  targetConformance("postgres", { commits: "together", checksTables: true, takesNul: false }, subject);

  interface Fixture {
    readonly connection: PostgresConnection;
    readonly target: PostgresTarget;
    readonly stagingStore: MemoryStore;
    readonly stage: (begin: number, text?: string) => Promise<PartitionLoad>;
    readonly load: (
      tableId: string,
      partition: PartitionLoad,
      columns?: readonly Column[],
    ) => Promise<string>;
  }

  async function fixture(
    connection: PostgresConnection,
    run: (fixture: Fixture) => Promise<void>,
  ): Promise<void> {
    const stagingStore = staging();
    const target = opened(connection, stagingStore);
    try {
      await run({
        connection,
        target,
        stagingStore,
        stage: (begin, text = `at ${begin}`) => {
          return stageLoad(stagingStore, "j", { columns: [body], rows: [[text]], begin });
        },
        load: async (tableId, partition, columns = [body]) => {
          return (await target.load({ target: refOf(tableId), columns, partitions: [partition] }, never))
            .kind;
        },
      });
    } finally {
      target.close();
    }
  }

  test("postgres: the answer to COMMIT is lost -> the loaded end is looked at, and the load was done", async () => {
    const connection = await server.database();
    const proxy = await PostgresFaultProxy.start(connection.port);
    await fixture({ ...connection, port: proxy.port }, async ({ stage, load }) => {
      proxy.fault = "after";
      assert.equal(await load("t", await stage(0)), "loaded");
    });
    assert.equal((await rowsOf(connection, "public.t")).length, 1);
    await proxy.stop();
  });

  test("postgres: nobody answers COMMIT, the caller gives up -> another importer loads, once", async () => {
    const connection = await server.database();
    const proxy = await PostgresFaultProxy.start(connection.port);
    const scope = new AbortController();
    await fixture({ ...connection, port: proxy.port }, async ({ target, stagingStore, stage }) => {
      const partition = await stage(0);
      const request = { target: refOf("t"), columns: [body], partitions: [partition] };
      proxy.fault = "silence";
      proxy.onSilence = () => scope.abort(new WireError("OUTCOME_UNKNOWN", "15 minutes are over"));
      await assert.rejects(target.load(request, scope.signal), { code: "OUTCOME_UNKNOWN" });
      const other = opened(connection, stagingStore);
      assert.equal((await other.load(request, never)).kind, "loaded", "the lock of the first is gone");
      other.close();
    });
    assert.equal((await rowsOf(connection, "public.t")).length, 1);
    await proxy.stop();
  });

  test("postgres: somebody holds a lock, the caller gives up -> the server's statement ends too", async () => {
    const connection = await server.database();
    await fixture(connection, async ({ target, stage, load }) => {
      const first = await stage(0);
      await load("t", first);
      const blocker = `BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)`;
      const lock = new AbortController();
      const session = await PostgresSession.open(connection, never);
      const held = session.during(lock.signal, () => session.query(blocker)).catch((error: unknown) => error);
      const waiting = async (): Promise<number> => {
        const where = "wait_event_type = 'Lock' AND datname = current_database()";
        const sql = `SELECT count(*) FROM pg_stat_activity WHERE ${where}`;
        return Number((await server.run(connection, sql))[0]![0]);
      };
      const held1 =
        "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 't'::regclass";
      while (Number((await server.run(connection, held1))[0]![0]) === 0);
      const scope = new AbortController();
      const next = await stage(first.end);
      const attempt = target.load({ target: refOf("t"), columns: [body], partitions: [next] }, scope.signal);
      const failed = assert.rejects(attempt, { message: "enough" });
      while ((await waiting()) === 0);
      scope.abort(new Error("enough"));
      await failed;
      while ((await waiting()) > 0);
      lock.abort(new Error("let go"));
      await held;
      assert.equal(await load("t", next), "loaded");
    });
  });

  test("postgres: TLS -> verified by its authority; others, and wrong passwords, are refused", async () => {
    const connection = await server.database();
    const as = async (change: Partial<PostgresConnection>): Promise<string> => {
      const stagingStore = staging();
      const target = opened({ ...connection, ...change }, stagingStore);
      try {
        await target.prepare("t", [body], never);
        return "made";
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
        return error.code;
      } finally {
        target.close();
      }
    };
    assert.equal(await as({ tls: { mode: "verified", ca: server.certificate } }), "made");
    assert.equal(await as({ tls: { mode: "unverified" } }), "made");
    assert.equal(await as({ tls: { mode: "verified" } }), "UNAVAILABLE");
    assert.equal(
      await as({ host: "localhost", tls: { mode: "verified", ca: server.certificate } }),
      "UNAVAILABLE",
    );
    assert.equal(await as({ password: "wrong" }), "FORBIDDEN");
    assert.equal(await as({ password: "" }), "UNAVAILABLE", "none is looked for elsewhere");
    assert.equal(await as({ database: "nowhere" }), "FORBIDDEN");
    assert.equal(await as({ port: 1 }), "UNAVAILABLE");
  });

  test("postgres: a table that others made -> must have exactly the columns of the mapping", async () => {
    await fixture(await server.database(), async ({ connection, target, stage, load }) => {
      await server.run(connection, 'CREATE TABLE t (body text, "_journal" text, "_offset" bigint, more int)');
      const what = '"more" integer of the table is not in the mapping';
      const more = `columns of the table "t" do not match expected: ${what}`;
      assert.equal(await target.check("t", [body], never), more);
      await assert.rejects(target.prepare("t", [body], never), { code: "INVALID_ARGUMENT" });
      await assert.rejects(load("t", await stage(0)), { code: "UNPROCESSABLE" });
      await server.run(connection, "ALTER TABLE t DROP COLUMN more");
      assert.equal(await target.check("t", [body], never), undefined);
      const missing = await target.check("t", [body, id], never);
      assert.match(missing ?? "", /"id" uuid is not in the table$/);
      assert.equal(await load("t", await stage(0)), "loaded");
      await server.run(connection, "CREATE VIEW v AS SELECT * FROM t");
      assert.equal(await target.check("v", [body], never), '"v" is there and is not a table');
    });
  });

  test("postgres: a table that was made here -> gets new columns, keeps those that a mapping drops", async () => {
    await fixture(await server.database(), async ({ connection, target, stage, load }) => {
      const first = await stage(0);
      await load("t", first);
      assert.equal(await target.check("t", [id], never), undefined, "id comes, body stays");
      await target.prepare("public.t", [id], never);
      assert.equal(await load("public.t", first), "already", "a name is the same with its schema");
      const rows = await rowsOf(connection, "public.t");
      assert.deepEqual(rows[0]?.values, { id: null, body: "at 0" });
      await server.run(connection, "DROP TABLE t");
      const next = await stage(first.end);
      assert.equal(await load("t", next), "loaded", "it is made again");
      assert.deepEqual(
        (await rowsOf(connection, "public.t")).map(({ values }) => values),
        [{ body: `at ${first.end}` }],
      );
    });
  });

  test("postgres: names and encodings that cannot be -> check says why", async () => {
    await fixture(await server.database("LATIN1"), async ({ target }) => {
      const why = "the encoding of the database is LATIN1, UTF8 is needed";
      assert.equal(await target.check("t", [body], never), why);
      await assert.rejects(target.prepare("t", [body], never), { code: "INVALID_ARGUMENT" });
    });
    await fixture(await server.database(), async ({ target }) => {
      const long = { ...body, name: "ž".repeat(32) };
      assert.match(
        (await target.check("t", [long], never)) ?? "",
        /has 64 bytes, a name in PostgreSQL at most 63$/,
      );
      assert.equal(await target.check("t", [{ ...body, name: "ž".repeat(31) }], never), undefined);
      for (const schema of ["pg_catalog", "PG_x", "information_schema"]) {
        assert.equal(await target.check(`${schema}.t`, [body], never), `schema "${schema}" is reserved`);
      }
    });
  });

  test("postgres: rights to load and to nothing else -> loads into what somebody prepared", async () => {
    const connection = await server.database();
    await fixture(connection, async ({ target }) => target.prepare("s.t", [body], never));
    const grants = [
      "CREATE ROLE loader LOGIN PASSWORD 'loader'",
      "REVOKE CREATE ON SCHEMA public FROM public",
      'GRANT USAGE ON SCHEMA s, "_millrace" TO loader',
      "GRANT INSERT, SELECT ON s.t TO loader",
      'GRANT SELECT, INSERT, UPDATE ON "_millrace".loaded TO loader',
    ];
    for (const sql of grants) await server.run(connection, sql);
    await fixture({ ...connection, user: "loader", password: "loader" }, async ({ target, stage, load }) => {
      assert.equal(await load("s.t", await stage(0)), "loaded");
      await assert.rejects(target.prepare("s.other", [body], never), { code: "FORBIDDEN" });
    });
  });

  test("postgres: the server stops and starts between two loads -> the next one opens a session anew", async () => {
    await fixture(await server.database(), async ({ connection, stage, load }) => {
      const first = await stage(0);
      await load("t", first);
      const others = "pid <> pg_backend_pid() AND datname = current_database()";
      await server.run(connection, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${others}`);
      const next = await stage(first.end);
      const attempt = await load("t", next).catch((error: unknown) => error);
      if (attempt instanceof Error) assert.equal((attempt as WireError).code, "UNAVAILABLE");
      assert.ok(["loaded", "already"].includes(await load("t", next)));
      assert.equal((await rowsOf(connection, "public.t")).length, 2);
    });
  });
});
