// The target in ClickHouse: against its HTTP contract always, and against a real server where there is one.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { never, systemClock, text, utf8, WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import type { Column, PartitionLoad } from "@millrace/ingest";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import type { ClickHouseConnection } from "./clickhouse-client.ts";
import { ClickHouseContract, type ClickHouseFault } from "./clickhouse-contract.ts";
import { plainType } from "./clickhouse-sql.ts";
import { ClickHouseTarget } from "./clickhouse-target.ts";
import { insertCuts } from "./insert-cuts.ts";
import { INSERT_ATTEMPTS, INSERT_BYTES } from "./limits.ts";
import { stageLoad } from "./staged-fixture.ts";
import { ClickHouseServer, missingClickHouse } from "./system-clickhouse-server.ts";
import { targetConformance, type TargetSubject } from "./target-conformance.ts";
import type { TargetRow } from "./target-rows.ts";

const traits = { commits: "each", checksTables: true, takesNul: true } as const;
const body: Column = { type: "body", name: "body" };

const storeOf = (): MemoryStore => memoryStore({ clock: systemClock, random: seededRandom("clickhouse") });

function opened(connection: ClickHouseConnection, stagingStore: MemoryStore): ClickHouseTarget {
  return new ClickHouseTarget({ connection, stagingStore, clock: systemClock });
}

function rowOf(row: Readonly<Record<string, string | null>>): TargetRow {
  const { _journal, _offset, ...values } = row;
  return { journal: _journal!, offset: Number(_offset), values };
}

const isEnds = (table: string): boolean => table === "_millrace.loaded";

async function contractSubject(): Promise<TargetSubject> {
  const contract = await ClickHouseContract.start();
  const staging = storeOf();
  return {
    target: opened(contract.connection, staging),
    staging,
    rows: (tableId) => Promise.resolve((contract.tables.get(tableId)?.rows ?? []).map(rowOf)),
    again: () => Promise.resolve(opened(contract.connection, staging)),
    failNext: (when) => {
      let left = when === "before" ? INSERT_ATTEMPTS : 1;
      contract.fault = (table) => {
        if (isEnds(table) !== (when === "after") || left-- <= 0) return undefined;
        return when === "before" ? "unavailable" : "lost-answer";
      };
    },
    close: () => contract.stop(),
  };
}

targetConformance("clickhouse, its HTTP contract", traits, contractSubject);

const skip = missingClickHouse();
if (skip === false) {
  let server: ClickHouseServer;
  let subjects = 0;
  before(async () => {
    server = await ClickHouseServer.start();
  });
  after(() => server.stop());
  targetConformance("clickhouse, a real server", traits, async () => {
    const staging = storeOf();
    // Each subject begins with nothing.
    if (subjects++ > 0)
      for (const name of ["main", "_millrace"])
        await server.client.run(`DROP DATABASE IF EXISTS ${name} SYNC`, never);
    let fails: "before" | undefined;
    const target = opened(server.connection, staging);
    return {
      target: {
        check: (tableId, columns, signal) => target.check(tableId, columns, signal),
        prepare: (tableId, columns, signal) => target.prepare(tableId, columns, signal),
        drop: (tableId, journals, signal) => target.drop(tableId, journals, signal),
        loadedEnds: (tableId, signal) => target.loadedEnds(tableId, signal),
        load: (request, signal) => {
          if (fails === undefined) return target.load(request, signal);
          fails = undefined;
          return Promise.reject(new WireError("UNAVAILABLE", "it was told to"));
        },
      },
      staging,
      rows: async (tableId) => {
        const quoted = "output_format_json_quote_64bit_integers = 1";
        const query = `SELECT * FROM ${tableId} FORMAT JSONEachRow SETTINGS ${quoted}`;
        const { url, user, password } = server.connection;
        const headers = { "x-clickhouse-user": user, "x-clickhouse-key": password };
        const answer = await fetch(url, { method: "POST", headers, body: query });
        if (answer.status === 404) return [];
        const lines = (await answer.text()).split("\n").slice(0, -1);
        return lines.map((line) => rowOf(JSON.parse(line) as Record<string, string | null>));
      },
      again: () => Promise.resolve(opened(server.connection, staging)),
      failNext: (when) => {
        fails = when === "before" ? when : undefined;
      },
      close: () => Promise.resolve(),
    };
  });
} else {
  test("target conformance: clickhouse, a real server", { skip }, () => undefined);
}

describe("clickhouse, its HTTP contract", () => {
  interface Fixture {
    readonly contract: ClickHouseContract;
    readonly target: ClickHouseTarget;
    readonly staging: MemoryStore;
    readonly stage: (begin: number, ...rows: readonly string[]) => Promise<PartitionLoad>;
    readonly load: (partition: PartitionLoad) => Promise<string>;
    readonly bodies: () => readonly (string | null)[];
  }

  async function fixture(run: (fixture: Fixture) => Promise<void>): Promise<void> {
    const contract = await ClickHouseContract.start();
    const staging = storeOf();
    const target = opened(contract.connection, staging);
    try {
      await run({
        contract,
        target,
        staging,
        stage: (begin, ...rows) => {
          return stageLoad(staging, "j", { columns: [body], rows: rows.map((row) => [row]), begin });
        },
        load: async (partition) => {
          const to = { kind: "clickhouse", tableId: "main.t" } as const;
          return (await target.load({ target: to, columns: [body], partitions: [partition] }, never)).kind;
        },
        bodies: () => (contract.tables.get("main.t")?.rows ?? []).map((row) => row["body"] ?? null),
      });
    } finally {
      await contract.stop();
    }
  }

  /** The first inserts into the sink's table fail so. */
  function faults(contract: ClickHouseContract, ...all: readonly ClickHouseFault[]): void {
    const left = [...all];
    contract.fault = (table) => (isEnds(table) ? undefined : left.shift());
  }

  const failures: readonly (readonly ClickHouseFault[])[] = [
    ["lost-answer"],
    ["unavailable"],
    ["unavailable", "lost-answer"],
    ["lost-answer", "lost-answer"],
  ];
  for (const all of failures) {
    test(`clickhouse: an insert meets ${all.join(", then ")} -> is sent again, each row once`, async () => {
      await fixture(async ({ contract, stage, load, bodies }) => {
        faults(contract, ...all);
        const partition = await stage(0, "a", "b");
        assert.equal(await load(partition), "loaded");
        assert.deepEqual(bodies(), ["a", "b"]);
        assert.equal(await load(partition), "already");
      });
    });
  }

  test("clickhouse: a table that remembers nothing -> rows are doubled: the contract can tell", async () => {
    await fixture(async ({ contract, stage, load, bodies, target }) => {
      await target.prepare("main.t", [body], never);
      const table = contract.tables.get("main.t")!;
      const made = table.engineFull;
      const first = await stage(0, "a");
      faults(contract, "lost-answer");
      contract.fault = ((fault) => (name: string) => {
        table.engineFull = "MergeTree";
        return fault(name);
      })(contract.fault);
      await load(first);
      assert.deepEqual(bodies(), ["a", "a"]);
      table.engineFull = made;
    });
  });

  test("clickhouse: an importer sleeps while others fill the window -> doubled, the limit that is stated", async () => {
    await fixture(async ({ contract, stage, load, bodies }) => {
      const partition = await stage(0, "a");
      await load(partition);
      contract.tables.get("_millrace.loaded")!.rows.length = 0; // as it was when the other one looked
      assert.equal(await load(partition), "loaded");
      assert.deepEqual(bodies(), ["a"], "within the window");
      contract.tables.get("main.t")!.tokens.length = 0;
      contract.tables.get("_millrace.loaded")!.rows.length = 0;
      await load(partition);
      assert.deepEqual(bodies(), ["a", "a"], "beyond it");
    });
  });

  test("clickhouse: refusals -> their code and their meaning", async () => {
    await fixture(async ({ contract, staging, stage, load }) => {
      const wrong = opened({ ...contract.connection, password: "no" }, staging);
      await assert.rejects(wrong.check("main.t", [body], never), {
        code: "FORBIDDEN",
        message: /^ClickHouse: Code: 516\. DB::Exception: default: Authentication failed/,
      });
      const nobody = opened({ ...contract.connection, url: "http://127.0.0.1:9" }, staging);
      await assert.rejects(nobody.check("main.t", [body], never), {
        code: "UNAVAILABLE",
        message: /^ClickHouse cannot be reached: /,
      });
      faults(contract, "unavailable", "unavailable", "unavailable");
      await assert.rejects(load(await stage(0, "a")), {
        code: "UNAVAILABLE",
        message: "ClickHouse: HTTP status 503: no server is available",
      });
    });
  });

  test("clickhouse: nobody answers and the caller gives up -> ends at once, and the next one loads once", async () => {
    await fixture(async ({ contract, target, stage, load, bodies }) => {
      faults(contract, "silence");
      const scope = new AbortController();
      contract.onSilence = () => scope.abort(new WireError("SHUTTING_DOWN", "the importer stops"));
      const partition = await stage(0, "a");
      const to = { kind: "clickhouse", tableId: "main.t" } as const;
      const attempt = target.load({ target: to, columns: [body], partitions: [partition] }, scope.signal);
      await assert.rejects(attempt, { code: "SHUTTING_DOWN" });
      assert.equal(await load(partition), "loaded");
      assert.deepEqual(bodies(), ["a"]);
    });
  });

  test("clickhouse: a table that others made -> needs an engine that remembers, and the columns", async () => {
    await fixture(async ({ contract, target }) => {
      const columns = new Map([
        ["body", "LowCardinality(Nullable(String))"],
        ["_journal", "LowCardinality(String)"],
        ["_offset", "Int64"],
      ]);
      contract.databases.add("main");
      const add = (engine: string, settings: string): Promise<string | undefined> => {
        const engineFull = `${engine} ORDER BY _offset SETTINGS ${settings}`;
        contract.tables.set("main.t", { engine, engineFull, comment: "", columns, rows: [], tokens: [] });
        return target.check("main.t", [body], never);
      };
      assert.match((await add("Log", "x = 1")) ?? "", /has the engine Log, which does not tell/);
      assert.match((await add("MergeTree", "x = 1")) ?? "", /remembers 0 inserts, at least 100 are needed/);
      assert.equal(await add("MergeTree", "non_replicated_deduplication_window = 100"), undefined);
      assert.equal(await add("ReplicatedMergeTree", "x = 1"), undefined);
      assert.match(
        (await add("ReplicatedMergeTree", "replicated_deduplication_window = 0")) ?? "",
        /remembers 0/,
      );
      columns.set("body", "Int32");
      const problem = await add("ReplicatedMergeTree", "x = 1");
      assert.match(problem ?? "", /"body" is Int32 in the table and would be String/);
    });
  });

  test("clickhouse: more than one insert -> a token each, and half of them again changes nothing", async () => {
    await fixture(async ({ contract, stage, load, bodies }) => {
      const long = "x".repeat(INSERT_BYTES / 2);
      const partition = await stage(0, `${long}1`, `${long}2`, `${long}3`, `${long}4`, `${long}5`);
      faults(contract, "lost-answer", "unavailable", "unavailable", "unavailable");
      const begun = contract.inserts;
      const attempt = await load(partition).catch((error: unknown) => (error as WireError).code);
      assert.equal(attempt, "UNAVAILABLE");
      assert.ok(contract.inserts > begun);
      assert.equal(await load(partition), "loaded");
      assert.deepEqual(
        bodies().map((row) => row?.at(-1)),
        ["1", "2", "3", "4", "5"],
      );
      assert.equal(contract.tables.get("main.t")!.tokens.length, 3);
    });
  });
});

test("inserts: lines in any pieces -> the same cuts, each at a line's end", async () => {
  const lines = Array.from({ length: 40 }, (_, i) => `${"y".repeat((i * 7) % 23)}\n`);
  const all = utf8(lines.join(""));
  const cut = async (size: number): Promise<readonly string[]> => {
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size);
    }
    const cuts: string[] = [];
    for await (const one of insertCuts(pieces(), 50)) cuts.push(text(one));
    return cuts;
  };
  const expected = await cut(all.length);
  assert.ok(expected.length > 5);
  assert.ok(expected.slice(0, -1).every((one) => one.length >= 50 && one.endsWith("\n")));
  assert.equal(expected.join(""), text(all));
  for (const size of [1, 2, 7, 49, 50, 51, 200]) assert.deepEqual(await cut(size), expected, `${size}`);
});

test("types: nullable or a dictionary -> what is in it", () => {
  assert.equal(plainType("LowCardinality(Nullable(String))"), "String");
  assert.equal(plainType("Nullable(DateTime64(3, 'UTC'))"), "DateTime64(3, 'UTC')");
});
