// Every command against a real platform, as a person or a script would use it.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { DoctorReport } from "@millrace/server";
import { runRecorded, type CommandOutcome } from "./recorded-io.ts";
import { Child, millrace, scratch, startPlatform } from "./test-children.ts";

const COLUMNS = JSON.stringify([
  { type: "uuid", name: "id" },
  { type: "datetime", name: "received_at" },
  { type: "path", name: "origin", path: "origin", rawString: true },
  { type: "body", name: "body" },
]);
const FLIGHT = '{"origin":"SAT","delay":25}';

suite("commands against a platform", { timeout: 240_000 }, () => {
  const dir = scratch();
  const data = join(dir, "data");
  let platform: Child;
  let endpoints: Readonly<Record<string, string>> & { readonly pid: number };
  let url = "";

  before(async () => {
    ({ child: platform, endpoints } = await startPlatform(data, ["up", "--no-demo", "--json"]));
  });

  after(async () => {
    platform.process.kill("SIGTERM");
    await platform.ended;
  });

  /** A command in this process, on the platform's directory. */
  async function run(args: readonly string[], input = ""): Promise<CommandOutcome> {
    return runRecorded([...args, "--data", data], input);
  }

  /** Its stdout; it must end well. */
  async function ok(args: readonly string[], input = ""): Promise<string> {
    const { code, out, err } = await run(args, input);
    assert.equal(code, 0, err);
    return out;
  }

  async function query(sql: string): Promise<unknown> {
    const { rows } = JSON.parse(await ok(["sql", "--json", sql])) as {
      rows: readonly Record<string, unknown>[];
    };
    return Object.values(rows[0]!)[0];
  }

  async function rowsAre(count: number): Promise<void> {
    const endMs = performance.now() + 30_000;
    while ((await query("select count(*) from main.flights")) !== count) {
      assert.ok(performance.now() < endMs, `${count} rows within 30 s`);
      await sleep(50);
    }
  }

  async function produce(
    args: readonly string[],
    input = "",
  ): Promise<Record<string, unknown> & { code: number }> {
    const { code, out, err } = await runRecorded(["produce", url, "--json", ...args], input);
    assert.match(out, /^[^\n]+\n$/, err);
    return { code, ...(JSON.parse(out) as Record<string, unknown>) };
  }

  test("up --json -> the addresses on stdout, as in endpoints.json; serves in the process started", async () => {
    // It says so after the file is in place.
    for (const endMs = performance.now() + 10_000; !platform.out.endsWith("\n"); await sleep(10))
      assert.ok(performance.now() < endMs, "it says where it listens");
    assert.deepEqual(JSON.parse(platform.out), endpoints);
    assert.equal(endpoints.pid, platform.process.pid);
    for (const name of ["broker", "api", "http-source", "warehouse", "console"]) {
      assert.match(endpoints[name]!, /^http:\/\/127\.0\.0\.1:\d+/);
    }
    assert.equal(platform.err, "", "words are for people");
  });

  test("sources create, list -> a URL, a table, JSON; the same once more -> a conflict, status 1", async () => {
    url = (await ok(["sources", "create", "flights", "--name", "Flights"])).trim();
    assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/stream\/1\/flights\/[0-9A-Za-z]{48}$/);
    const created = JSON.parse(await ok(["sources", "create", "other", "--json"])) as { sourceId: string };
    assert.equal(created.sourceId, "other");
    const listed = await ok(["sources", "list"]);
    assert.match(
      listed,
      /^ID +NAME +TYPE +STATE +VERSION +URL\nflights +Flights +http +enabled +1 +http:\S+\nother +other +http /,
    );
    const all = JSON.parse(await ok(["sources", "list", "--json"])) as readonly { sourceId: string }[];
    assert.deepEqual(
      all.map(({ sourceId }) => sourceId),
      ["flights", "other"],
    );
    const again = await run(["sources", "create", "flights"]);
    assert.equal(again.code, 1);
    assert.match(again.err, /^millrace: [^\n]*flights[^\n]*\n$/);
  });

  test("sinks create from an argument and a file, list -> ids, a table, JSON; of no source -> status 1", async () => {
    const file = join(dir, "columns.json");
    writeFileSync(file, COLUMNS);
    const table = ["--table", "main.flights"];
    assert.equal(
      await ok(["sinks", "create", "flights", "flights", ...table, "--columns", COLUMNS]),
      "flights\n",
    );
    const more = ["other", "second", "--table", "main.second", "--columns", `@${file}`, "--json"];
    assert.equal((JSON.parse(await ok(["sinks", "create", ...more])) as { sinkId: string }).sinkId, "second");
    const interval = "storage.level.target.import.trigger.interval";
    const settings = [
      "--setting",
      `${interval}=1m`,
      "--setting",
      "storage.level.local.encoding.sync.wait=false",
    ];
    const third = ["other", "third", "--table", "main.third", "--columns", COLUMNS, "--json", ...settings];
    const made = JSON.parse(await ok(["sinks", "create", ...third])) as { settings: unknown };
    assert.deepEqual(made.settings, { [interval]: "1m", "storage.level.local.encoding.sync.wait": false });
    const typo = ["other", "fourth", "--table", "main.fourth", "--columns", COLUMNS];
    assert.match((await run(["sinks", "create", ...typo, "--setting", "x=1"])).err, /Key not found: "x"/);
    assert.equal((await run(["sinks", "create", ...typo, "--setting", "x"])).code, 2);
    const listed = await ok(["sinks", "list", "flights"]);
    assert.match(
      listed,
      /^ID +NAME +TABLE .*\nflights +flights +main\.flights +id,received_at,origin,body +enabled +1\n$/,
    );
    assert.equal((JSON.parse(await ok(["sinks", "list", "other", "--json"])) as unknown[]).length, 2);
    const none = await run(["sinks", "list", "nowhere"]);
    assert.deepEqual([none.code, none.out], [1, ""]);
    assert.match(none.err, /^millrace: [^\n]*nowhere[^\n]*\n$/);
  });

  test("produce: stdin, a file twice, batches, text -> each record is a row, and the summary adds up", async () => {
    const file = join(dir, "flights.ndjson");
    writeFileSync(file, `${FLIGHT}\n`.repeat(30));
    const runs = [
      await produce([], `${FLIGHT}\n${FLIGHT}`),
      await produce(["-i", file, "--repeat", "2", "-b", "7", "-c", "3"]),
      await produce(["-i", file, "-n", "11", "--rate", "1000"]),
      await produce(["--text", "origin"], "one\ntwo\nthree\n"),
    ];
    assert.deepEqual(
      runs.map(({ code, sent, accepted, rejected, failed }) => [code, sent, accepted, rejected, failed]),
      [2, 60, 11, 3].map((n) => [0, n, n, 0, 0]),
    );
    const { latencyMs, seconds, recordsPerSecond } = runs[0]!;
    assert.deepEqual(Object.keys(latencyMs as object), ["p50", "p90", "p99", "p999", "max"]);
    assert.ok((seconds as number) > 0 && (recordsPerSecond as number) > 0);
    await rowsAre(76);
    assert.equal(await query("select count(*) from main.flights where origin = 'three'"), 1);
  });

  test("produce: records that cannot be mapped -> rejected, the first reason on stderr, status 1", async () => {
    const one = await runRecorded(["produce", url, "--generate", "100", "-n", "3", "-c", "1", "--json"]);
    assert.equal(one.code, 1);
    assert.equal((JSON.parse(one.out) as { rejected: number }).rejected, 3);
    assert.match(one.err, /^millrace: not all records were taken; first problem: 422: [^\n]*origin[^\n]*\n$/);
    const mixed = await runRecorded(["produce", url, "-b", "3", "--json"], `${FLIGHT}\n{"a":1}\n${FLIGHT}\n`);
    assert.equal(mixed.code, 1);
    const { accepted, rejected } = JSON.parse(mixed.out) as { accepted: number; rejected: number };
    assert.deepEqual([accepted, rejected], [2, 1]);
    assert.match(mixed.err, /first problem: record 1 of its batch: /);
    const nowhere = await runRecorded(["produce", url.slice(0, -1), "--json"], FLIGHT);
    assert.deepEqual([nowhere.code, nowhere.out], [1, ""]);
    assert.match(nowhere.err, /^millrace: the source answers 404: [^\n]+\n$/);
    await rowsAre(78);
  });

  test("sql: every format, from stdin too -> rows; an error -> message and position, status 2", async () => {
    const sql = "select origin, count(*) as n from main.flights group by 1 order by 2 desc, 1 limit 2";
    assert.equal(await ok(["sql", sql]), "origin  n\nSAT     75\none     1\n");
    assert.equal(await ok(["sql", "-o", "csv"], sql), "origin,n\r\nSAT,75\r\none,1\r\n");
    assert.equal(
      await ok(["sql", "-o", "ndjson", "-"], sql),
      '{"origin":"SAT","n":75}\n{"origin":"one","n":1}\n',
    );
    const { columns, rows } = JSON.parse(await ok(["sql", "--json", sql])) as {
      columns: unknown;
      rows: unknown;
    };
    assert.deepEqual(columns, [
      { name: "origin", type: "VARCHAR" },
      { name: "n", type: "BIGINT" },
    ]);
    assert.deepEqual(rows, [
      { origin: "SAT", n: 75 },
      { origin: "one", n: 1 },
    ]);
    assert.equal(
      await ok(["sql", `select 1 as "2", 3 as "1", null as x, 4 as x`]),
      "2  1  x     x_1\n1  3  NULL  4\n",
    );
    const wrong = await run(["sql", "select nothing from main.flights"]);
    assert.deepEqual([wrong.code, wrong.out], [2, ""]);
    assert.match(wrong.err, /^millrace: [^\n]*nothing[^\n]*\(at position \d+\)\n$/);
  });

  test("journals append, read -> the same bytes, atomically and by lines, from any offset", async () => {
    const journal = ["-l", "name=examples/foobar"];
    const appended = await run(["journals", "append", ...journal], "Hello, Gazette!\n");
    assert.equal(appended.err, "examples/foobar: committed [0, 16)\n");
    const lines = await ok(["journals", "append", ...journal, "-f", "lines", "--json"], "ping\npong\n");
    assert.deepEqual(JSON.parse(lines), { journal: "examples/foobar", begin: 16, end: 26 });
    const cut = await run(["journals", "append", ...journal, "-f", "lines"], "whole\nhalf");
    assert.equal(cut.code, 1);
    assert.match(cut.err, /committed examples\/foobar: \[26, 32\), but the last line has no newline/);
    assert.equal(await ok(["journals", "read", ...journal]), "Hello, Gazette!\nping\npong\nwhole\n");
    assert.equal(
      await ok(["journals", "read", ...journal, "--offset", "7"]),
      "Gazette!\nping\npong\nwhole\n",
    );
    assert.equal(await ok(["journals", "read", ...journal, "--tail"]), "");
    const span = await ok(["journals", "read", ...journal, "--offset", "26", "--json"]);
    assert.deepEqual(JSON.parse(span), { journal: "examples/foobar", offset: 26, text: "whole\n" });
    const none = await run(["journals", "read", "-l", "name=none/such"]);
    assert.deepEqual([none.code, none.err], [1, "millrace: no journal matches name=none/such\n"]);
  });

  test("journals list -> the columns of the journal tools, labels, YAML that apply takes, JSON", async () => {
    const table = await ok(["journals", "list", "--primary", "-l", "prefix=examples/"]);
    const [rule, header, , row] = table.split("\n");
    assert.match(rule!, /^┌─+┬─+┐$/);
    assert.match(header!, /^│ +NAME +│ +PRIMARY +│$/);
    assert.match(row!, /^│ examples\/foobar │ \S+ +│$/);
    const wide = await ok(["journals", "list", "--rf", "--replicas", "--stores", "-L", "content-type"]);
    assert.match(wide, /NAME .*RF.*REPLICAS.*STORES.*CONTENT - TYPE/);
    assert.match(wide, /examples\/foobar +│ 1 .*file:\/\/\/fragments\/ │ text\/plain/);
    const listed = JSON.parse(await ok(["journals", "list", "--json"])) as { journals: unknown[] };
    assert.equal(listed.journals.length, 2);
    const yaml = await ok(["journals", "list", "-o", "yaml", "-l", "name=examples/foobar"]);
    assert.match(yaml, /^name: examples\/foobar\n/);
    const both = await ok(["journals", "list", "-o", "yaml"]);
    assert.match(
      both,
      /^ *compression_codec: /m,
      "what journals have in common is told with what they share",
    );
    const again = await run(["journals", "apply", "--dry-run", "--json", "--specs", "-"], both);
    const specs = (JSON.parse(again.out) as { changes: { upsert: { fragment: { length: string } } }[] })
      .changes;
    assert.ok(
      specs.length === 2 && specs.every(({ upsert }) => Number(upsert.fragment.length) > 0),
      again.out,
    );
    const dry = await ok(["journals", "apply", "--dry-run", "--specs", "-"], yaml);
    assert.match(dry, /name: "examples\/foobar"/);
  });

  test("journals apply: dry run, create, the same revision again, delete -> what is said is done", async () => {
    const spec = (extra: string): string =>
      `name: my/journal\nreplication: 1\nlabels: [{name: app, value: 007}]\n${extra}` +
      "fragment: {length: 1048576, compression_codec: NONE, stores: [], refresh_interval: 5m}\n";
    const apply = (text: string, ...more: string[]) =>
      run(["journals", "apply", "--specs", "-", ...more], text);
    const dry = JSON.parse((await apply(spec(""), "--dry-run", "--json")).out) as { changes: unknown[] };
    assert.equal(dry.changes.length, 1);
    assert.match((await apply(spec(""))).err, /^applied 1 change at revision \d+\n$/);
    const again = await apply(spec(""));
    assert.deepEqual([again.code, again.out], [1, ""]);
    assert.match(again.err, /^millrace: [^\n]*ETCD_TRANSACTION_FAILED[^\n]*\n$/);
    assert.match(await ok(["journals", "list", "-l", "app=007", "-L", "app"]), /my\/journal │ 007/);
    const removed = JSON.parse((await apply(spec("revision: -1\ndelete: true\n"), "--json")).out) as {
      applied: number;
    };
    assert.equal(removed.applied, 1);
    assert.doesNotMatch(await ok(["journals", "list"]), /my\/journal/);
  });

  test("journals edit: nothing, nonsense, a change, a race -> cancelled, opened again, applied, kept", async (t) => {
    const spec =
      "name: my/edited\nreplication: 1\nrevision: -1\n" +
      "fragment: {length: 1048576, compression_codec: NONE, stores: [], refresh_interval: 5m}\n";
    await ok(["journals", "apply", "--specs", "-"], spec);
    /** Edits with a shell command, as people set $EDITOR; `$1` is the file. */
    const edit = async (editor: string): Promise<CommandOutcome> => {
      const script = join(dir, "editor.sh");
      writeFileSync(script, editor);
      process.env["GAZ_EDITOR"] = `/bin/sh ${script}`;
      return run(["journals", "edit", "-l", "name=my/edited"]);
    };
    t.after(() => delete process.env["GAZ_EDITOR"]);
    const length = async (): Promise<string> =>
      ok(["journals", "list", "-l", "name=my/edited", "-o", "yaml"]);

    assert.equal((await edit("true")).err, "Cancelled; nothing to do.\n");
    assert.equal(
      (await edit('grep "^#⚙" "$1" > "$1.new"; mv "$1.new" "$1"')).err,
      "Cancelled; empty file.\n",
    );
    const failed = await edit("exit 3");
    assert.deepEqual([failed.code, failed.out], [1, ""]);
    assert.match(failed.err, /ended with status 3/);

    // The second time it is opened the reason stands above.
    const seen = join(dir, "seen");
    const twice = await edit(
      `if grep -q "^#⚠" "$1"; then cp "$1" ${seen}; sed -i s/length:.*/length:\\ 2048/ "$1"; ` +
        `else sed -i s/length:.*/length:\\ 7/ "$1"; fi`,
    );
    assert.match(twice.err, /^applied 1 change at revision \d+\n$/);
    assert.match(readFileSync(seen, "utf8"), /^#⚠ .*invalid Length \(7; expected/m);
    assert.match(await length(), /length: 2048/);

    const stubborn = await edit(`sed -i s/length:.*/length:\\ 7/ "$1"`);
    assert.equal(stubborn.code, 2);
    assert.match(
      stubborn.err,
      /^Changes\[0\].*\nLast edits saved to \S+\.\nmillrace: Cancelled; no changes to invalid file\./,
    );

    // Somebody else changes the journal while the editor is open.
    writeFileSync(join(dir, "other.yaml"), spec.replace("1048576", "4096"));
    const bin = `${process.execPath} ${fileURLToPath(new URL("../bin/millrace.js", import.meta.url))}`;
    const raced = await edit(
      `sed -i s/length:.*/length:\\ 8192/ "$1"; ` +
        `${bin} journals apply --specs ${join(dir, "other.yaml")} --data ${data}`,
    );
    assert.equal(raced.code, 1);
    const [, kept] = /^Last edits saved to (\S+)\.$/m.exec(raced.err) ?? [];
    assert.match(raced.err, /ETCD_TRANSACTION_FAILED/);
    assert.match(readFileSync(kept!, "utf8"), /length: 8192/);
    assert.match(await length(), /length: 4096/);
    assert.match((await run(["journals", "edit", "-l", "name=not/there"])).err, /no journal matches/);
  });

  test("journals store-health -> healthy, or why not, in words and as JSON", async () => {
    const health = (...args: string[]) => run(["journals", "store-health", ...args]);
    assert.deepEqual(await health("file:///"), {
      code: 0,
      out: "Fragment store file:/// is healthy\n",
      err: "",
    });
    const deletes = await health("file:///", "--check-delete-prefix", "", "--json");
    assert.deepEqual(JSON.parse(deletes.out), { store: "file:///", healthy: true, error: "" });
    const missing = await health("file:///not/there/");
    assert.equal(missing.code, 1);
    assert.match(missing.err, /^millrace: fragment store file:\/\/\/not\/there\/ is unhealthy: \S/);
    assert.match((await health("file:///x")).err, /path component doesn't end in '\/'/);
  });

  test("journals fragments -> a table, and a line of JSON for each", async () => {
    const table = await ok(["journals", "fragments", "-l", "name=examples/foobar"]);
    assert.match(table, /JOURNAL +│ OFFSET │ LENGTH │ +PERSISTED +│ +SHA 1 +│ COMPRESSION │/);
    assert.match(table, /│ examples\/foobar │ 0 +│/);
    const lines = (await ok(["journals", "fragments", "-l", "prefix=examples/", "--json"]))
      .trim()
      .split("\n");
    const [first] = lines.map(
      (line) => (JSON.parse(line) as { spec: { journal: string; begin: number } }).spec,
    );
    assert.deepEqual([first!.journal, first!.begin], ["examples/foobar", 0]);
  });

  test("a pipe whose reader has enough -> the command ends quietly", async () => {
    const child = new Child(["journals", "read", "-l", "name=examples/foobar", "--block", "--data", data]);
    await child.until("it reads", () => child.out.length > 0);
    child.process.stdout?.destroy();
    await ok(["journals", "append", "-l", "name=examples/foobar"], "more\n");
    const { code, err } = await child.end();
    assert.deepEqual([code, err], [0, ""]);
  });

  test("Ctrl-C: a blocking read ends well; a run of produce finishes what is under way and tells", async () => {
    const read = new Child(["journals", "read", "-l", "name=examples/foobar", "--block", "--data", data]);
    await read.until("it reads", () => read.out.length > 0);
    read.process.kill("SIGINT");
    assert.deepEqual(await read.end(), { code: 0, out: read.out, err: "" });

    const before = (await query("select count(*) from main.flights")) as number;
    const sent = new Child(["produce", url, "--text", "origin", "--rate", "200"]);
    sent.process.stdin?.write("x\n".repeat(150));
    await sent.until("it shows what it does", () => /accepted [1-9]/.test(sent.err));
    sent.process.kill("SIGINT");
    const { code, out } = await sent.end();
    assert.equal(code, 0, sent.err);
    const { accepted, failed } = JSON.parse(out) as { accepted: number; failed: number };
    assert.equal(failed, 0);
    await rowsAre(before + accepted);
  });

  test("doctor while the platform runs -> refused, status 1; after SIGTERM -> sound, and no file changed", async () => {
    const refused = await run(["doctor"]);
    assert.deepEqual([refused.code, refused.out], [1, ""]);
    assert.match(
      refused.err,
      new RegExp(
        `^millrace: data directory .* is in use by process ${endpoints.pid}: stop it first[^\\n]+\n$`,
      ),
    );
    platform.process.kill("SIGTERM");
    assert.equal((await platform.end()).code, 0);
    assert.ok(!existsSync(join(data, "endpoints.json")));
    const file = join(data, "warehouse/warehouse.duckdb");
    const hash = (): string => createHash("sha1").update(readFileSync(file)).digest("hex");
    const whole = hash();
    const people = await millrace(["doctor", "--data", data]);
    assert.equal(people.code, 0, people.out);
    assert.match(people.out, /^CHECK +RESULT +FOUND\n/);
    assert.match(people.out, /\nsound: \/.* \(9 checks in \d+\.\d s\)\n$/);
    const report = JSON.parse(await ok(["doctor", "--json"])) as DoctorReport;
    const rows = report.checks.find(({ name }) => name === "rows")!;
    assert.ok(report.sound && rows.counts["compared"] === rows.counts["rows"]);
    assert.equal(hash(), whole);
  });
});

suite("processes", { timeout: 120_000 }, () => {
  test("serve broker, with a token -> one process that serves, callers without the token are refused", async () => {
    const data = join(scratch(), "data");
    const token = "a-long-enough-token";
    const env = { MILLRACE_AUTH_TOKEN: token };
    const { child, endpoints } = await startPlatform(data, ["serve", "broker"], env);
    assert.deepEqual(Object.keys(endpoints), ["pid", "broker"]);
    assert.equal(endpoints.pid, child.process.pid);
    const refused = await runRecorded(["journals", "list", "--data", data]);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /^millrace: [^\n]+\n$/);
    assert.equal((await runRecorded(["journals", "list", "--data", data, "--token", token])).code, 0);
    assert.equal((await millrace(["journals", "list", "--data", data], "", env)).code, 0);
    assert.equal((await runRecorded(["brokers", "list", "--data", data])).code, 1);
    assert.equal((await runRecorded(["brokers", "list", "--data", data, "--token", token])).code, 0);
    child.process.kill("SIGTERM");
    const { code, err } = await child.end();
    assert.equal(code, 0, err);
    assert.ok(!child.err.includes(token));
  });

  test("TMPDIR -> holds the data of who is started with Gazette's names, unless it is given", async () => {
    const dataOf = async (args: readonly string[], env: NodeJS.ProcessEnv): Promise<string | undefined> => {
      const { code, out, err } = await millrace(["print-config", ...args], "", {
        TMPDIR: "/tmp/spools",
        ...env,
      });
      assert.equal(code, 0, err);
      return /^data: (\S+)/m.exec(out)?.[1];
    };
    assert.equal(await dataOf(["--broker.port", "8080"], {}), "/tmp/spools/millrace-data");
    assert.equal(await dataOf([], { BROKER_HOST: "here" }), "/tmp/spools/millrace-data");
    assert.equal(await dataOf(["--broker.port", "8080", "--data", "d"], {}), "d");
    assert.equal(await dataOf(["--broker.port", "8080"], { TMPDIR: "" }), "./millrace-data");
    assert.equal(await dataOf([], {}), "./millrace-data");
  });

  test("Gazette's names -> its defaults for a broker, unless others are given", async () => {
    const printed = async (...args: readonly string[]): Promise<readonly (string | undefined)[]> => {
      const { code, out, err } = await millrace(["print-config", ...args]);
      assert.equal(code, 0, err);
      return ["etcd.address", "log.format", "broker.limit"].map(
        (name) => new RegExp(`^${name.replace(".", "\\.")}: (\\S+)`, "m").exec(out)?.[1],
      );
    };
    const gazette = ["http://localhost:2379", "text", "1024"];
    assert.deepEqual(await printed("--broker.port", "8080"), gazette);
    assert.deepEqual(await printed("--broker.host", "here"), gazette);
    assert.deepEqual(await printed("--broker.port", "8080", "--etcd.address="), ['""', "text", "131072"]);
    assert.deepEqual(await printed(), ['""', "json", "131072"]);
  });

  test("print-config -> the file, the environment and flags in this order, the token masked", async () => {
    const file = join(scratch(), "millrace.yaml");
    writeFileSync(file, "auth: {token: from-the-file-000}\nbroker: {listen: 127.0.0.1:1, memory: 2MiB}\n");
    const env = {
      MILLRACE_CONFIG: file,
      MILLRACE_BROKER_LISTEN: "127.0.0.1:2",
      MILLRACE_API_LISTEN: "127.0.0.1:3",
    };
    const { code, out } = await millrace(["print-config", "--api.listen", "127.0.0.1:4"], "", env);
    assert.equal(code, 0);
    assert.match(out, /^ports: default +# default$/m);
    assert.match(out, new RegExp(`^broker\\.memory: 2MiB +# ${file}: broker\\.memory$`, "m"));
    assert.match(out, /^broker\.listen: 127\.0\.0\.1:2 +# environment MILLRACE_BROKER_LISTEN$/m);
    assert.match(out, /^api\.listen: 127\.0\.0\.1:4 +# flag --api\.listen$/m);
    assert.match(out, /^auth\.token: \*{4} +# /m);
    assert.ok(!out.includes("from-the-file"));
  });

  test("node_modules/.bin/millrace of a built clone -> runs: its file is committed and executable", async () => {
    const bin = fileURLToPath(new URL("../../../node_modules/.bin/millrace", import.meta.url));
    const child = new Child(["--version"], {}, [bin]);
    assert.deepEqual(await child.end(), { code: 0, out: "0.1.0\n", err: "" });
    const committed = fileURLToPath(new URL("../bin/millrace.js", import.meta.url));
    assert.ok((statSync(committed).mode & 0o111) !== 0);
    assert.match(readFileSync(committed, "utf8"), /^#!\/usr\/bin\/env node\n/);
  });
});
