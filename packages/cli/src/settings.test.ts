// Settings as options, and YAML of journalspaces.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { PrintedSetting } from "@millrace/server";
import { Command } from "commander";
import { journalChanges } from "./run-journals-apply.ts";
import { runRecorded } from "./recorded-io.ts";
import { addSettingOptions, givenSettings } from "./setting-options.ts";

function given(...args: string[]): Map<string, string> {
  const command = addSettingOptions(new Command());
  command.parse(args, { from: "user" });
  return givenSettings(command);
}

test("setting options: names with dots and dashes, switches with and without a value -> texts by setting name", () => {
  assert.deepEqual([...given()], []);
  assert.deepEqual(
    [
      ...given(
        "--http-source.max-body",
        "1MiB",
        "--allow-anonymous",
        "--config",
        "c.yaml",
        "--broker.listen=x:1",
      ),
    ],
    [
      ["config", "c.yaml"],
      ["allow-anonymous", ""],
      ["broker.listen", "x:1"],
      ["http-source.max-body", "1MiB"],
    ],
  );
  assert.deepEqual([...given("--allow-anonymous", "false")], [["allow-anonymous", "false"]]);
});

test("print-config: default, file, environment, flag -> the last one wins, says so, masks secrets", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "millrace-settings-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, "millrace.yaml");
  writeFileSync(
    file,
    "broker: {listen: 127.0.0.1:1, memory: 2MiB}\napi.listen: 127.0.0.1:2\nauth: {token: 0123456789abcdef}\n",
  );
  const environment = { MILLRACE_BROKER_LISTEN: "127.0.0.1:3", MILLRACE_API_LISTEN: "127.0.0.1:4" };
  const before = { ...process.env };
  Object.assign(process.env, environment);
  t.after(() => {
    process.env = before;
  });
  const args = ["print-config", "--config", file, "--api.listen", "127.0.0.1:5"];
  const { code, out } = await runRecorded([...args, "--json"]);
  assert.equal(code, 0);
  const settings = new Map(
    (JSON.parse(out) as PrintedSetting[]).map((one) => [one.name, [one.value, one.origin]]),
  );
  assert.deepEqual(settings.get("ports"), ["default", "default"]);
  assert.deepEqual(settings.get("broker.memory"), ["2MiB", `${file}: broker.memory`]);
  assert.deepEqual(settings.get("broker.listen"), ["127.0.0.1:3", "environment MILLRACE_BROKER_LISTEN"]);
  assert.deepEqual(settings.get("api.listen"), ["127.0.0.1:5", "flag --api.listen"]);
  assert.deepEqual(settings.get("auth.token"), ["****", `${file}: auth.token`]);

  const text = await runRecorded(args);
  assert.match(text.out, /^api\.listen: 127\.0\.0\.1:5 +# flag --api\.listen$/m);
  assert.ok(!text.out.includes("0123456789abcdef"));
});

/** Few bytes that are a million nodes once their aliases are followed. */
function bomb(): string {
  const lines = ["a0: &a0 [x]"];
  for (let i = 1; i <= 20; i++) lines.push(`a${i}: &a${i} [*a${i - 1}, *a${i - 1}]`);
  return lines.join("\n");
}

test("journalspace: numbers, flags and merge keys -> as gazctl takes them", () => {
  const [change] = journalChanges(
    `children:
  - name: a/bc
    replication: +1
    fragment: &shared {length: 02000, compression_codec: NONE, refresh_interval: 60000000000}
    max_append_rate: 0x10
  - name: a/de
    delete: yes
    revision: 1_6
`,
  );
  assert.deepEqual(
    [change?.upsert?.replication, change?.upsert?.fragment.length, change?.upsert?.maxAppendRate],
    [1, 1024, 16],
  );
  const [, merged] = journalChanges(
    `children:
  - &one {name: a/bc, replication: 1, fragment: &f {length: 2000, compression_codec: NONE, refresh_interval: 1m}}
  - {<<: *one, name: a/de, fragment: {<<: *f, length: 3000}}
`,
  );
  const { name, replication, fragment } = merged!.upsert!;
  assert.deepEqual(
    [name, replication, fragment.length, fragment.refreshIntervalMs],
    ["a/de", 1, 3000, 60_000],
  );
});

test("journalspace: not UTF-8 -> refused", async () => {
  const { code, err } = await runRecorded(
    ["journals", "apply", "--dry-run", "--specs", "-"],
    Uint8Array.of(0x61, 0xff),
  );
  assert.deepEqual([code, err], [2, "millrace: standard input is not UTF-8\n"]);
});

test("journalspace: scalars -> as they are written, not as YAML would type them; null is absent", () => {
  const [change] = journalChanges(
    `name: a/bc
replication: 1
revision: 16
labels:
  - {name: app, value: 007}
  - {name: off, value: no}
  - {name: day, value: 2001-02-03}
  - {name: quoted, value: "1.50"}
max_append_rate:
fragment: {length: 1024, compression_codec: NONE, stores: [], refresh_interval: 5m, flush_interval: 1h}
`,
  );
  assert.equal(change?.expectModRevision, 16);
  assert.deepEqual(
    change?.upsert?.labels.labels.map(({ name, value }) => `${name}=${value}`),
    ["app=007", "day=2001-02-03", "off=no", "quoted=1.50"],
  );
});

for (const [yaml, message] of [
  ["a: [", /YAML decode failed: .* at line 1, column \d+$/],
  ["name: a\nname: b", /YAML decode failed: Map keys must be unique at line 2/],
  ["name: a\n---\nname: b", /YAML decode failed: more than one document$/],
  ["- a", /expected a mapping/],
  ["nam: a", /unknown field "nam"/],
  ["name: a b\nreplication: 1", /Name/],
  [bomb(), /YAML decode failed: Excessive alias count/],
  ["&a {children: [*a]}", /: nodes nest too deeply \(expected <= 512\)$/],
  ["[".repeat(20_000), /YAML decode failed: it nests too deeply at line 1/],
] as const) {
  test(`journalspace: ${JSON.stringify(yaml.slice(0, 40))} -> refused: ${message.source}`, async () => {
    const { code, err } = await runRecorded(["journals", "apply", "--dry-run", "--specs", "-"], yaml);
    assert.equal(code, 2, err);
    assert.match(err, /^millrace: [^\n]+\n$/);
    assert.match(err.trimEnd(), message);
  });
}
