// Sources, sinks, settings, tasks, tokens and streams as files, by the command line against a real platform.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { runRecorded, type CommandOutcome } from "./recorded-io.ts";
import { scratch, startPlatform, type Child } from "./test-children.ts";

const COLUMNS = '[{"type":"path","name":"item","path":"item","rawString":true}]';
const COUNT = "storage.level.staging.upload.trigger.count";

const STREAMS = `
source: shop
name: Shop
signature: { scheme: github, secret: { env: MILLRACE_TEST_HOOK } }
settings: { ${COUNT}: 5000 }
sinks:
  - sink: items
    table: main.items
    columns: [{ type: path, name: item, path: item, rawString: true }]
  - sink: bodies
    table: main.bodies
    columns: [{ type: uuid, name: id }, { type: body, name: body }]
    settings: { storage.level.target.import.trigger.interval: 1m }
    disabled: true
---
source: clicks
description: of the page
`;

suite("streams by the command line", { timeout: 240_000 }, () => {
  const dir = scratch();
  const data = join(dir, "data");
  let platform: Child;
  let token = "";

  before(async () => {
    process.env["MILLRACE_TEST_HOOK"] = "hush-hush";
    ({ child: platform } = await startPlatform(data, ["up", "--no-demo", "--json"]));
  });
  after(async () => {
    platform.process.kill("SIGTERM");
    await platform.ended;
  });

  const run = (args: readonly string[], input = ""): Promise<CommandOutcome> =>
    runRecorded([...args, "--data", data, ...(token === "" ? [] : ["--token", token])], input);
  const ok = async (args: readonly string[], input = ""): Promise<string> => {
    const { code, out, err } = await run(args, input);
    assert.equal(code, 0, `${args.join(" ")}: ${err}`);
    return out;
  };
  const json = async (args: readonly string[], input = ""): Promise<Record<string, unknown>> =>
    JSON.parse(await ok([...args, "--json"], input)) as Record<string, unknown>;
  const numberOf = async (args: readonly string[]): Promise<unknown> =>
    ((await json(args))["version"] as { number: number }).number;

  test("a source: created, changed, disabled, rolled back, with a new secret, deleted, undeleted", async () => {
    const url = (await ok(["sources", "create", "one", "--name", "One"])).trim();
    assert.match(await ok(["sources", "get", "one"]), /^FIELD +VALUE\nid +one\nname +One\ntype +http\n/);
    assert.match(
      await ok(["sources", "update", "one", "--name", "Uno", "--change", "In Italian."]),
      /^Source .*updated/,
    );
    assert.equal((await json(["sources", "get", "one"]))["name"], "Uno");
    await ok(["sources", "disable", "one"]);
    assert.match(await ok(["sources", "get", "one"]), /\nstate +disabled \(API\)\n/);
    assert.match(
      await ok(["sources", "list"]),
      /^ID +NAME +TYPE +STATE +VERSION +URL\none +Uno +http +disabled +3 /,
    );
    assert.equal((await json(["sources", "enable", "one"]))["status"], "success");
    assert.match(await ok(["sources", "versions", "one"]), /\n2 +\S+ +system +In Italian\.\n/);
    await ok(["sources", "rollback", "one", "1"]);
    assert.equal((await json(["sources", "get", "one"]))["name"], "One");
    assert.notEqual((await ok(["sources", "rotate-secret", "one"])).trim(), url);
    await ok(["sources", "delete", "one"]);
    assert.match(
      (await run(["sources", "get", "one"])).err,
      /^millrace: Source "one" not found in the branch\.\n$/,
    );
    assert.match(await ok(["sources", "list", "--deleted"]), /\none +One +http +deleted +/);
    await ok(["sources", "undelete", "one"]);
    const wrong = await run(["sources", "rollback", "one", "x"]);
    assert.deepEqual([wrong.code, wrong.err], [2, "millrace: version x: expected a whole number >= 1\n"]);
    assert.equal((await run(["sources", "rollback", "one", "99"])).code, 1);
  });

  test("a sink: created, changed, tried, disabled, deleted, undeleted, rolled back; its statistics", async () => {
    await ok(["sources", "create", "two"]);
    const slip = COLUMNS.replace("rawString", "rawStrin");
    const refused = await run(["sinks", "create", "two", "rows", "--table", "main.two", "--columns", slip]);
    assert.equal(refused.code, 2);
    assert.match(
      refused.err,
      /^millrace: --columns\[0\]: "rawStrin" is not a field of type path \(expected /,
    );
    await ok(["sinks", "create", "two", "rows", "--table", "main.two", "--columns", COLUMNS]);
    assert.match(await ok(["sinks", "get", "two", "rows"]), /\ntable +main\.two\ncolumns +item \(path\)\n/);
    const more =
      '[{"type":"path","name":"item","path":"item","rawString":true},{"type":"body","name":"body"}]';
    await ok(["sinks", "update", "two", "rows", "--columns", more]);
    const rows = await ok(["sources", "test", "two", '{"item":"tea"}']);
    assert.match(rows, /^SINK +COLUMN +VALUE\nrows +item +tea\nrows +body +\{"item":"tea"\}\n$/);
    assert.equal(await ok(["sources", "test", "two"], '{"item":"tea"}'), rows);
    const unmapped = await run(["sources", "test", "two", "{}"]);
    assert.deepEqual([unmapped.code, unmapped.out], [1, ""]);
    assert.match(unmapped.err, /item/);
    assert.match(
      await ok(["sinks", "statistics", "two", "rows"]),
      /\nlocal +0 +0\n[^]*\nNot in the table: 0 bytes, the oldest record for 0 s\.\n$/,
    );
    assert.equal(await ok(["sinks", "statistics", "two", "rows", "--files", "--json"]), "[]\n");
    assert.match(await ok(["sources", "statistics", "two"]), /\nrows +0 +0 +0 +0 +0\n$/);
    assert.match(await ok(["sources", "statistics", "two", "--clear"]), /begin anew/);
    for (const verb of ["disable", "enable", "delete", "undelete"]) {
      await ok(["sinks", verb, "two", "rows"]);
      const state = { disable: "disabled", enable: "enabled", delete: "deleted", undelete: "enabled" }[verb];
      const list = await ok(["sinks", "list", "two", ...(verb === "delete" ? ["--deleted"] : [])]);
      assert.match(
        list,
        new RegExp(`^ID +NAME +TABLE +COLUMNS +STATE +VERSION\\nrows .* ${state} +\\d+\\n$`),
      );
    }
    await ok(["sinks", "rollback", "two", "rows", "1"]);
    assert.match(await ok(["sinks", "versions", "two", "rows"]), /Rollback to version "1"\./);
    assert.match(await ok(["sinks", "list", "two"]), /\nrows +rows +main\.two +item +enabled +\d+\n$/);
    assert.equal((await run(["sinks", "get", "two", "none"])).code, 1);
  });

  test("dead letters: listed with their reasons, replayed when the mapping is mended", async () => {
    const url = (await ok(["sources", "create", "lost", "--name", "Lost"])).trim();
    const columns = (path: string): string => JSON.stringify([{ type: "path", name: "n", path }]);
    await ok(["sinks", "create", "lost", "rows", "--table", "main.lost", "--columns", columns("wrong")]);
    await ok(["settings", "update", "lost", "--set", "storage.level.local.deadLetters.enabled=true"]);
    const none = await run(["dead-letters", "list", "lost", "rows"]);
    assert.deepEqual([none.code, none.err], [0, "0 wait\n"]);
    await runRecorded(["produce", url], '{"n":1}\n{"n":2}\n{"n":3}\n');
    const some = await run(["dead-letters", "list", "lost", "rows", "--limit", "2"]);
    assert.equal(some.err, "3 wait\n");
    const lines = some.out.trim().split("\n");
    assert.match(lines[0]!, /^ID +RECEIVED +VERSION +ATTEMPTS +REASON$/);
    assert.match(lines[1]!, /^\S+ +\d{4}-\S+Z +1 +1 +.*path "wrong" not found/);
    assert.equal(lines.length, 3);
    const after = lines[2]!.split(" ", 1)[0]!;
    const rest = JSON.parse(
      await ok(["dead-letters", "list", "lost", "rows", "--after", after, "--json"]),
    ) as {
      body: string;
    }[];
    assert.deepEqual(
      rest.map(({ body }) => body),
      ['{"n":3}'],
    );
    await ok(["sinks", "update", "lost", "rows", "--columns", columns("n")]);
    const said = await ok(["dead-letters", "replay", "lost", "rows"]);
    assert.equal(said, "Dead letters have been replayed: 3 became rows, 0 were refused again.\n");
    const task = await json(["dead-letters", "replay", "lost", "rows"]);
    assert.equal((task["outputs"] as { replayed: number }).replayed, 0);
    const wrong = await run(["dead-letters", "list", "lost", "rows", "--limit", "101"]);
    const refusal = "millrace: --limit 101: expected a whole number from 1 to 100\n";
    assert.deepEqual([wrong.code, wrong.err], [2, refusal]);
    assert.equal((await run(["dead-letters", "replay", "lost", "none"])).code, 1);
  });

  test("settings: of a source and of a sink: listed, changed, taken away; a wrong one -> status 2", async () => {
    await ok(["settings", "update", "two", "--set", `${COUNT}=7`]);
    assert.match(await ok(["settings", "list", "two"]), new RegExp(`\\n${COUNT} +7 +10000 +set\\n`));
    assert.match(await ok(["settings", "list", "two", "rows"]), new RegExp(`\\n${COUNT} +7 +7\\n`));
    await ok(["settings", "update", "two", "rows", "--set", `${COUNT}=8`, "--change", "More."]);
    await ok(["settings", "update", "two", "--unset", COUNT]);
    assert.match(await ok(["settings", "list", "two", "rows"]), new RegExp(`\\n${COUNT} +8 +10000 +set\\n`));
    const wrong = await run(["settings", "update", "two", "--set", `${COUNT}=0`]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.err, /^millrace: [^\n]*count[^\n]*\n$/);
    assert.match((await run(["settings", "update", "two"])).err, /nothing to change/);
    const all = JSON.parse(await ok(["settings", "list", "two", "--all", "--json"])) as {
      protected: boolean;
    }[];
    assert.ok(all.some((one) => one.protected));
  });

  test("tasks: listed and shown; of one that is not there -> status 1", async () => {
    const [, line = ""] = (await ok(["tasks", "list"])).split("\n");
    const [id = ""] = line.split(" ");
    assert.match(await ok(["tasks", "get", id, "--wait"]), /\nstatus +success\n/);
    assert.equal((await run(["tasks", "get", "api.create.source/1/x/y"])).code, 1);
  });

  test("plan, diff, apply: what differs, done once; once more nothing; drift -> status 1 with --check", async () => {
    const file = join(dir, "streams.yaml");
    writeFileSync(file, STREAMS);
    const plan = (...more: string[]) => run(["plan", "-f", file, ...more]);
    const first = await plan("--check");
    assert.equal(first.code, 1);
    assert.match(
      first.out,
      /^create source shop\nchange settings of source shop: .*count\ncreate sink shop\/items\n/,
    );
    assert.match(first.out, /\nin no file: source one \(--prune deletes it\)\n/);
    const applied = await run(["apply", "-f", file]);
    assert.equal(applied.code, 0, applied.err);
    assert.match(applied.out, /create sink shop\/bodies\ndisable sink shop\/bodies\ncreate source clicks\n$/);
    assert.ok(!`${first.out}${applied.out}${applied.err}`.includes("hush-hush"));
    assert.equal(await ok(["apply", "-f", file]), "nothing to do\n");
    const same = await plan("--check");
    assert.deepEqual([same.code, same.out.split("\n").at(-2)], [0, "nothing to do"]);
    assert.equal(await numberOf(["sources", "get", "shop"]), 2);
    assert.equal(await numberOf(["sinks", "get", "shop", "items"]), 1);

    await ok(["sources", "update", "shop", "--name", "Drifted"]);
    const drift = await run(["diff", "-f", file, "--check"]);
    assert.equal(drift.code, 1);
    assert.match(drift.out, /^update source shop: name\n {2}- name: Drifted\n {2}\+ name: Shop\n/);
    const fromStdin = await run(["apply", "-f", "-", "--json"], STREAMS);
    const { actions } = JSON.parse(fromStdin.out) as { actions: { verb: string }[] };
    assert.deepEqual(
      actions.map(({ verb }) => verb),
      ["update"],
    );
    assert.equal((await json(["sources", "get", "shop"]))["name"], "Shop");
  });

  test("apply: a deleted source comes back with its sinks; --prune deletes what is in no file", async () => {
    const file = join(dir, "streams.yaml");
    await ok(["sources", "delete", "shop"]);
    const back = await run(["apply", "-f", file]);
    assert.equal(back.code, 0, back.err);
    assert.equal(await ok(["apply", "-f", file]), "nothing to do\n");
    assert.match(await ok(["sinks", "list", "shop"]), /\nbodies .*\nitems /);
    const fewer = join(dir, "fewer.yaml");
    writeFileSync(
      fewer,
      "source: shop\nsinks:\n  - sink: items\n    table: main.items\n    columns: " + COLUMNS,
    );
    assert.match(
      await ok(["plan", "-f", fewer, "--prune"]),
      /^delete sink shop\/bodies\ndelete source clicks\n/,
    );
    await ok(["apply", "-f", fewer, "--prune"]);
    assert.match(await ok(["sources", "list"]), /^ID .*\nshop [^\n]*\n$/);
    assert.equal(await ok(["plan", "-f", fewer, "--prune", "--check"]), "nothing to do\n");
  });

  test("apply: a misspelt field, an ID that is none -> status 2, nothing is done; null -> as not given", async () => {
    const columns = "[{ type: path, name: item, path: item, rawStrin: true }]";
    const slip = `source: slip\nsinks: [{ sink: s, table: main.slip, columns: ${columns} }]`;
    for (const command of ["plan", "apply"]) {
      const refused = await run([command, "-f", "-"], slip);
      assert.deepEqual([refused.code, refused.out], [2, ""]);
      assert.match(refused.err, /^millrace: stdin: [^\n]*: columns\[0\]: "rawStrin" is not a field/);
      const noId = await run([command, "-f", "-"], "source: My Slip");
      assert.deepEqual([noId.code, noId.out], [2, ""]);
    }
    assert.doesNotMatch(await ok(["sources", "list"]), /slip/);
    const nulls = slip.replace("rawStrin: true", "defaultValue: null").replace("\n", "\ndescription: null\n");
    await ok(["apply", "-f", "-"], nulls);
    assert.match(await ok(["plan", "-f", "-", "--check"], nulls), /nothing to do\n$/);
    await ok(["sources", "delete", "slip"]);
  });

  test("apply: what the API refuses -> its words, and what was done before it stays", async () => {
    const text = `source: bad\nsinks:\n  - sink: s\n    table: main.bad\n    columns: [{ type: path, name: x }]`;
    const refused = await run(["apply", "-f", "-"], text);
    assert.equal(refused.code, 2);
    assert.match(refused.err, /millrace: Column "x" is missing path\.\n$/);
    assert.equal(refused.out, "create source bad\n");
    await ok(["apply", "-f", "-"], text.replace("type: path, name: x", "type: body, name: x"));
  });

  test("tokens: the first one makes them required; read-only -> may plan and not apply", async () => {
    const admin = (await ok(["tokens", "create", "--description", "mine"])).trim();
    const without = await run(["sources", "list"]);
    assert.deepEqual(
      [without.code, without.err],
      [2, 'millrace: "X-StorageApi-Token" is missing from header.\n'],
    );
    token = admin;
    const { token: reader, tokenId } = await json(["tokens", "create", "--role", "readOnly"]);
    assert.match(
      await ok(["tokens", "list"]),
      /^ID +ROLE +CREATED +DESCRIPTION\n\S+ +admin +\S+ +mine\n\S+ +readOnly /,
    );
    token = String(reader);
    assert.match(await ok(["plan", "-f", "-"], "source: new"), /^create source new\n/);
    const refused = await run(["apply", "-f", "-"], "source: new");
    assert.deepEqual(
      [refused.code, refused.err.split("\n").at(-2)],
      [1, "millrace: Only admin token can do write operations on streams."],
    );
    token = admin;
    assert.equal(await ok(["tokens", "delete", String(tokenId)]), `${String(tokenId)}\n`);
    assert.match((await run(["tokens", "delete", "nothing"])).err, /Token "nothing" not found/);
  });
});
