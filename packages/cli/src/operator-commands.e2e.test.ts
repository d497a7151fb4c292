// Commands of whoever runs brokers, against a broker alone in its process.
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { runRecorded, type CommandOutcome } from "./recorded-io.ts";
import { scratch, startPlatform, type Child } from "./test-children.ts";

suite("commands of operators", { timeout: 120_000 }, () => {
  const data = join(scratch(), "data");
  let broker: Child;

  before(async () => {
    ({ child: broker } = await startPlatform(data, ["serve", "broker"]));
  });

  after(async () => {
    broker.process.kill("SIGTERM");
    await broker.ended;
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

  test("journals suspend, reset-head, prune -> one line for each journal, and what it says is so", async () => {
    const spec =
      "name: old/\nreplication: 1\n" +
      "children: [{name: old/one, revision: -1}, {name: old/two, revision: -1}]\n" +
      "fragment: {length: 1024, compression_codec: NONE, stores: ['file:///?find=x/'], " +
      "refresh_interval: 1s, retention: 1ms}\n";
    await ok(["journals", "apply", "--specs", "-"], spec);
    for (const part of ["a", "b", "c"]) {
      const input = part.repeat(2000);
      await ok(["journals", "append", "-l", "prefix=old/", "-m", "random", "--json"], input);
      await ok(["journals", "append", "-l", "name=old/one"], input);
    }
    const heads = await ok(["journals", "reset-head", "-l", "prefix=old/", "--json"]);
    assert.match(heads, /^\{"journal":"old\/(?:one|two)","offset":\d+,"reset":true\}$/m);
    const inUse = (await run(["journals", "suspend", "-l", "name=old/one"])).err;
    assert.match(inUse, /^old\/one: not suspended: its newest (?:bytes are in|fragment is) .* --force\n$/);
    const suspended = await run(["journals", "suspend", "-l", "name=old/one", "--force"]);
    assert.deepEqual([suspended.code, suspended.err], [0, "old/one: suspended\n"]);
    assert.match(await ok(["journals", "list", "-l", "name=old/one", "-p"]), / <S> │/);

    const persisted = async (): Promise<number> => {
      const lines = await ok(["journals", "fragments", "-l", "name=old/one", "--json"]);
      return lines.match(/"backingStore":"file:\/\/\/\?find=x\/"/g)?.length ?? 0;
    };
    for (const endMs = performance.now() + 30_000; (await persisted()) < 3; await sleep(50))
      assert.ok(performance.now() < endMs, "fragments are persisted");
    const count = await persisted();
    const dry = await run(["journals", "prune", "-l", "name=old/one", "--dry-run"]);
    assert.equal(dry.err.match(/^would remove file:\/\/\/old\/one\/[0-9a-f-]+\.raw$/gm)?.length, count - 1);
    assert.equal(await persisted(), count);
    const pruned = JSON.parse(await ok(["journals", "prune", "-l", "name=old/one", "--json"])) as {
      fragmentsPruned: number;
    };
    assert.equal(pruned.fragmentsPruned, count - 1);
    assert.equal(readdirSync(join(data, "old/one")).length, 1);
    const rest = await ok(["journals", "append", "-l", "name=old/one", "--json"], "d");
    assert.ok((JSON.parse(rest) as { begin: number }).begin >= 6000, "the head is where it was");
    await ok(["journals", "apply", "--specs", "-"], spec.replace("children", "delete: true\nchildren"));
  });

  test("journals append, a journal that lacks a broker -> says so at once, and fails at the timeout", async () => {
    const spec =
      "name: lacks/one\nreplication: 2\nrevision: -1\n" +
      "fragment: {length: 1024, compression_codec: NONE, refresh_interval: 1m}\n";
    await ok(["journals", "apply", "--specs", "-"], spec);
    const append = ["journals", "append", "-l", "name=lacks/one"];
    const refused = /millrace: append to lacks\/one: INSUFFICIENT_JOURNAL_BROKERS\n$/;
    const impatient = await run([...append, "--timeout", "0s"], "x");
    assert.deepEqual([impatient.code, impatient.out], [1, ""]);
    assert.match(impatient.err, refused);
    for (const framing of ["none", "lines"]) {
      const { code, err } = await run([...append, "--framing", framing, "--timeout", "300ms"], "x\n");
      assert.equal(code, 1);
      const [first = ""] = err.split("\n");
      const { event, journal, code: why } = JSON.parse(first) as Readonly<Record<string, string>>;
      assert.deepEqual(
        [event, journal, why],
        ["append-retried", "lacks/one", "INSUFFICIENT_JOURNAL_BROKERS"],
      );
      const last = /INSUFFICIENT_JOURNAL_BROKERS, after \d+ attempts in \d+\.\d s\n$/;
      assert.match(err, last);
    }
    const bad = await run([...append, "--timeout", "-1s"], "x");
    const message = "millrace: --timeout -1s: expected a duration from 0s on, e.g. 30s\n";
    assert.deepEqual([bad.code, bad.err], [2, message]);
  });

  test("journals append, stores have more than the journal -> refused, and the way on is named", async () => {
    mkdirSync(join(data, "ahead/one"), { recursive: true });
    const sum = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d";
    writeFileSync(join(data, `ahead/one/0000000000001000-0000000000001005-${sum}.raw`), "hello");
    const spec =
      "name: ahead/one\nreplication: 1\nrevision: -1\n" +
      "fragment: {length: 1024, compression_codec: NONE, refresh_interval: 1s, stores: ['file:///?find=x/']}\n";
    await ok(["journals", "apply", "--specs", "-"], spec);
    const refused = await run(["journals", "append", "-l", "name=ahead/one"], "x");
    assert.equal(refused.code, 1);
    const remedy =
      /^millrace: append to ahead\/one: INDEX_HAS_GREATER_OFFSET: .* journals reset-head .*behind them$/m;
    assert.match(refused.err, remedy);
    await ok(["journals", "reset-head", "-l", "name=ahead/one"]);
    assert.match(await ok(["journals", "append", "-l", "name=ahead/one", "--json"], "x"), /"begin":4101,/);
  });

  test("brokers list, drain -> the broker and its journals; alone it says that it cannot leave", async () => {
    await ok(["journals", "append", "-l", "name=examples/one"], "x");
    const [listed] = JSON.parse(await ok(["brokers", "list", "--json"])) as {
      primaries: number;
      id: string;
    }[];
    assert.ok(listed!.primaries >= 1 && listed!.id === "broker-1");
    const table = await ok(["brokers", "list"]);
    assert.match(table, /│ local │ broker-1 │ http:\/\/\S+ │ \d+ +│ 0 +│ \d+ +│ +│ millrace │/);
    assert.match(await ok(["brokers", "list", "-o", "yaml"]), /^- zone: local\n  id: broker-1\n/);
    const nobody = await run(["brokers", "drain", "local/broker-2"]);
    assert.equal(nobody.code, 1);
    assert.match(nobody.err, /^millrace: no broker local\/broker-2 is there; millrace brokers list shows/);
    assert.equal((await run(["brokers", "drain", "broker-1"])).code, 2);
    const alone = await run(["brokers", "drain", "local/broker-1", "--timeout", "1ms"]);
    assert.equal(alone.code, 1);
    assert.match(
      alone.err,
      /^local\/broker-1: draining, waits for [^\n]+\nmillrace: .* is not drained after 1ms: it goes on\n$/,
    );
    const forced = await run(["brokers", "drain", "local/broker-1", "--force", "--json"]);
    const { assigned, isForced } = JSON.parse(forced.out) as { assigned: number; isForced: boolean };
    assert.ok(forced.code === 0 && assigned >= 1 && isForced, "what stays behind is told");
  });
});
