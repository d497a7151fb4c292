// Our command line beside Gazette's own, each against a Go broker of its own: what they write to stdout is the same,
// but for what docs/cli-gazctl.md says.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test, type TestContext } from "node:test";
import { BIN, Child, scratch, type Ended } from "./test-children.ts";
import { GazetteCluster, gazetteMissing, gazettePeer } from "./test-gazette.ts";

const skip = gazetteMissing();
const KEYS = "c2VjcmV0IGtleSBvZiBicm9rZXJz,YW5vdGhlcg==";

const dir = scratch();
const cluster = new GazetteCluster(dir);
const SIDES = ["gazctl", "millrace"] as const;
type Side = (typeof SIDES)[number];
/** Addresses of the brokers. */
const open = { gazctl: "", millrace: "" };
const guarded = { gazctl: "", millrace: "" };

before(async () => {
  if (skip !== false) return;
  await cluster.startEtcd();
  for (const side of SIDES) {
    open[side] = (await cluster.startBroker(`open-${side}`)).address;
    guarded[side] = (await cluster.startBroker(`keys-${side}`, [`--broker.auth-keys=${KEYS}`])).address;
  }
});

after(() => cluster.kill());

interface Step {
  /** `FILES` stands for a directory of the side's own. */
  readonly args: readonly string[];
  readonly stdin?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly brokers?: Readonly<Record<Side, string>>;
}

async function run(side: Side, step: Step): Promise<Ended> {
  const files = join(dir, side);
  mkdirSync(files, { recursive: true });
  const own = step.args.map((arg) => arg.replaceAll("FILES", files));
  const args = ["journals", ...own, `--broker.address=${(step.brokers ?? open)[side]}`];
  const command = side === "gazctl" ? [gazettePeer("gazctl")] : [process.execPath, BIN];
  const child = new Child(args, step.env ?? {}, command);
  child.process.stdin?.end(step.stdin ?? "");
  const { code, out, err } = await child.end();
  return { code, out: plain(out), err };
}

/** Without what two runs never have in common: addresses, revisions, times. */
function plain(text: string): string {
  return text
    .replaceAll(/http:\/\/127\.0\.0\.1:\d+/g, "URL")
    .replaceAll(/((?:mod_|create_)?revision|mod_time)"?: ?"?\d+"?/g, "$1 N")
    .replaceAll(/\d+ (?:second|minute)s? ago|now +(?=│)/g, "then");
}

/** Runs each step with both, and compares stdout and whether they succeed. @returns ours */
async function compare(t: TestContext, steps: readonly Step[]): Promise<readonly Ended[]> {
  const ours: Ended[] = [];
  for (const step of steps) {
    const [theirs, mine] = await Promise.all([run("gazctl", step), run("millrace", step)]);
    const what = `${step.args.join(" ")}\n${theirs.err}\n${mine.err}`;
    assert.equal(mine.out.trimEnd(), theirs.out.trimEnd(), what);
    assert.equal(mine.code === 0, theirs.code === 0, what);
    ours.push(mine);
  }
  t.diagnostic(`${steps.length} commands compared`);
  return ours;
}

function specs(names: readonly string[], more = ""): string {
  return `name: test/
replication: 1
labels:
- {name: app.gazette.dev/region, value: here}
- {name: content-type, value: application/x-ndjson}
fragment:
  length: 131072
  compression_codec: SNAPPY
  stores: [file:///]
  refresh_interval: 1m0s
  flush_interval: 1h0m0s
${more}children:
${names.map((name) => `- name: test/${name}\n`).join("")}`;
}

const COMMANDS = [
  "append",
  "apply",
  "edit",
  "fragments",
  "list",
  "prune",
  "read",
  "reset-head",
  "store-health",
  "suspend",
];
const ALL = ["-l", "prefix=test/"];
/** Text that YAML takes for something else unless it is quoted. */
const ODD_LABELS = ["y", "n", "yes", "on", "null", "1_000", "0x1f", "017", "1e3"]
  .map((value, i) => `\n  - {name: odd-${i}, value: "${value}"}`)
  .join("");
/** Templates that YAML cannot have without quotes, or has to fold. */
const FORMAT = (layout: string): string => `{{ .Spool.FirstAppendTime.Format "${layout}" }}`;
const TEMPLATES = [`date=${FORMAT("2006-01-02")}/hour=${FORMAT("15")}`, FORMAT("2006"), "a=1/b=2"];
const ONE = ["-l", "name=test/one"];
/** Ten of the sixty. */
const PARTS = ["-l", "name:prefix=test/part-00"];

test("apply, list, edit -> what gazctl prints, in every format", { skip }, async (t) => {
  const parts = Array.from({ length: 60 }, (_, i) => `part-${String(i).padStart(3, "0")}`);
  const columns = ["-p", "-r", "--rf", "--stores", "-L", "content-type", "-L", "app.gazette.dev/region"];
  const said = await compare(t, [
    { args: ["list", ...ALL] },
    { args: ["list", ...ALL, "-o", "yaml"] },
    { args: ["apply", "--specs=-"], stdin: specs(["one", ...parts, "two"]) },
    { args: ["apply"], stdin: specs(["one"]) },
    { args: ["apply", "--dry-run"], stdin: specs(["one"]) },
    { args: ["apply"], stdin: specs(["z z"]) },
    { args: ["apply"], stdin: "children: [" },
    { args: ["apply", "--max-txn-size", "2"], stdin: specs(["a-1", "a-2", "a-3", "a-4", "a-5"]) },
    { args: ["list", ...ALL] },
    { args: ["list", ...ALL, ...columns] },
    { args: ["list", ...ALL, "-o", "yaml"] },
    { args: ["list", ...ONE, "-o", "json"] },
    { args: ["list", ...ALL, "-o", "proto"] },
    { args: ["list", "-l", "bad selector (("] },
    { args: ["edit", ...ONE], env: { GAZ_EDITOR: "true" } },
    { args: ["edit", ...ONE], env: { GAZ_EDITOR: "sed -i s/SNAPPY/GZIP/" } },
    { args: ["list", ...ONE, "-o", "yaml"] },
  ]);
  assert.match(said[8]!.out, /test\/part-059/);
  assert.match(said[16]!.out, /compression_codec: GZIP/);
});

test("list of labels that look like numbers and switches -> quoted as by gazctl", { skip }, async (t) => {
  const odd = specs(["odd"]).replace("test/odd", `test/odd\n  labels:${ODD_LABELS}`);
  const said = await compare(t, [
    { args: ["apply"], stdin: odd },
    { args: ["list", "-l", "name=test/odd", "-o", "yaml"] },
    { args: ["apply"], stdin: "name: test/odd\nrevision: -1\ndelete: true\n" },
  ]);
  assert.match(said[1]!.out, /value: "yes"/);
});

test("list of templates -> quoted and folded as by gazctl", { skip }, async (t) => {
  const names = TEMPLATES.map((_, i) => `postfix-${i}`);
  let yaml = specs(names);
  for (const [i, template] of TEMPLATES.entries()) {
    const named = `test/postfix-${i}\n`;
    yaml = yaml.replace(named, `${named}  fragment: {path_postfix_template: '${template}'}\n`);
  }
  const which = ["-l", "name:prefix=test/postfix-"];
  const gone = names.map((name) => `- {name: test/${name}, revision: -1}\n`);
  const said = await compare(t, [
    { args: ["apply"], stdin: yaml },
    { args: ["list", ...which, "-o", "yaml"] },
    { args: ["list", "-l", "name=test/postfix-0", "-o", "yaml"] },
    { args: ["apply"], stdin: `name: test/\ndelete: true\nchildren:\n${gone.join("")}` },
    { args: ["list", ...which] },
  ]);
  assert.match(said[1]!.out, /path_postfix_template: '\{\{/);
  assert.doesNotMatch(said.at(-1)!.out, /postfix/);
});

test(
  "append with every framing and mapping -> each record in the journal that gazctl chose",
  { skip },
  async (t) => {
    const pairs = Array.from({ length: 200 }, (_, i) => [`key-${i % 37}`, `{"record":${i}}`] as const);
    const lines = (text: (key: string) => string): string =>
      pairs.map(([key, record]) => `${text(key)}\n${record}\n`).join("");
    const frame = (text: string): Buffer => {
      const head = Buffer.from([0x66, 0x33, 0x93, 0x36, 0, 0, 0, 0]);
      head.writeUInt32LE(text.length, 4);
      return Buffer.concat([head, Buffer.from(text)]);
    };
    const framed = Buffer.concat(pairs.flatMap(([key, record]) => [frame(key), frame(record)]));
    const base64 = (key: string): string => Buffer.from(key).toString("base64");
    const keyed = (mapping: string, ...more: string[]): string[] => [
      "append",
      ...PARTS,
      "-m",
      mapping,
      ...more,
    ];
    const each = Array.from({ length: 10 }, (_, i) => ({ args: ["read", "-l", `name=test/part-00${i}`] }));
    const said = await compare(t, [
      { args: ["append", ...ONE], stdin: "hello\n" },
      { args: ["append", ...ONE, "-f", "lines"], stdin: lines((key) => key) },
      { args: ["append", ...ONE, "-f", "lines"], stdin: "without an end" },
      { args: ["append", ...ONE, "-f", "fixed"], stdin: framed },
      { args: ["append", ...ONE, "-f", "fixed"], stdin: "no frame at all" },
      { args: ["append", "-l", "name=none/such"], stdin: "nowhere\n" },
      { args: keyed("modulo", "-f", "lines"), stdin: lines((key) => key) },
      { args: keyed("rendezvous", "-f", "lines", "--base64"), stdin: lines(base64) },
      { args: keyed("modulo", "-f", "lines", "--base64"), stdin: "!\nrecord\n" },
      { args: keyed("modulo"), stdin: "x" },
      { args: ["append", ...ONE, "-m", "direct", "-f", "lines"], stdin: "test/one\nrecord\n" },
      { args: ["append", ...ONE, "-m", "direct", "-f", "lines"], stdin: "test/two\nrecord\n" },
      { args: keyed("rendezvous", "-f", "fixed"), stdin: framed },
      { args: ["read", ...ONE] },
      ...each,
    ]);
    const records = said.slice(-10).map(({ out }) => out);
    assert.equal(records.join("").match(/\{"record":\d+\}/g)?.length, 3 * pairs.length);
    assert.ok(records.filter((out) => out !== "").length > 5, "they went to many journals");
  },
);

test("read with offsets, fragments -> what gazctl prints, and the same files", { skip }, async (t) => {
  await compare(t, [
    { args: ["read", ...ONE, "--tail", "--offsets-out", "FILES/tail.json"] },
    { args: ["append", ...ONE], stdin: "x".repeat(3_000_000) },
    { args: ["read", ...ONE, "--offsets", "FILES/tail.json", "--offsets-out", "FILES/tail.json"] },
    { args: ["read", ...ONE, "--offsets", "FILES/tail.json.previous", "-o", "FILES/read"] },
    { args: ["read", ...ONE, "--offsets", "FILES/missing.json"] },
    { args: ["read", ...ONE, "--zone=local", "--from=1"] },
    { args: ["fragments", ...ONE, "-o", "proto"] },
    { args: ["fragments", ...ONE, "-o", "json"] },
    { args: ["fragments", ...ONE] },
    { args: ["fragments", ...ALL, "--to=1"] },
    { args: ["fragments", ...ONE, "--url-ttl=1m", "-o", "json"] },
    { args: ["fragments", ...ONE, "--from=2", "--to=1"] },
  ]);
  for (const file of ["tail.json", "tail.json.previous", "read"]) {
    const [theirs, mine] = SIDES.map((side) => plain(readFileSync(join(dir, side, file), "latin1")));
    assert.equal(mine, theirs, file);
  }
});

test("suspend, reset-head, store-health -> what gazctl does", { skip }, async (t) => {
  const TWO = ["-l", "name=test/two"];
  const status = ["list", ...TWO, "-p", "-r", "--rf"];
  const said = await compare(t, [
    { args: ["reset-head", ...TWO] },
    { args: ["append", ...TWO], stdin: "before\n" },
    { args: ["suspend", ...TWO] },
    { args: status },
    { args: ["suspend", ...TWO, "--force"] },
    { args: status },
    { args: ["list", ...TWO, "-o", "yaml"] },
    { args: ["reset-head", ...TWO] },
    { args: ["suspend", ...ALL] },
    { args: ["list", ...ALL, "-p"] },
    { args: ["append", ...TWO], stdin: "after\n" },
    { args: status },
    { args: ["read", ...TWO] },
    { args: ["store-health", "file:///"] },
    { args: ["store-health", "file:///", "--check-delete-prefix="] },
    { args: ["store-health", "nonsense"] },
  ]);
  assert.match(said[5]!.out, /broker-1 <S>/);
  assert.match(said[9]!.out, /<none> <S>/);
  assert.equal(said[12]!.out, "before\nafter\n");
});

test("keys and tokens -> who gets in and who does not, as with gazctl", { skip }, async (t) => {
  const keys = `--broker.auth-keys=${KEYS}`;
  const second = `--broker.auth-keys=${KEYS.split(",").reverse().join(",")}`;
  const foreign = "--broker.auth-keys=Zm9yZWlnbg==";
  const steps: Step[] = [
    { args: ["list"] },
    { args: ["list", foreign] },
    { args: ["list", "--broker.auth-token=no-token"] },
    { args: ["list"], env: { BROKER_AUTH_KEYS: KEYS } },
    { args: ["list"], env: { BROKER_AUTH_TOKEN: "no-token" } },
    { args: ["apply", foreign], stdin: specs(["one"]) },
    { args: ["apply", keys], stdin: specs(["one"]) },
    { args: ["append", ...ONE, keys], stdin: "hello\n" },
    { args: ["read", ...ONE, second] },
    { args: ["read", ...ONE, foreign] },
    { args: ["suspend", ...ONE, keys, "--force"] },
    { args: ["store-health", "file:///", keys] },
    { args: ["list", ...ONE, "-p", keys] },
  ];
  const said = await compare(
    t,
    steps.map((step) => ({ ...step, brokers: guarded })),
  );
  assert.match(said[0]!.err, /^millrace: missing or empty Authorization token$/m);
  assert.equal(said[8]!.out, "hello\n");
});

test("every flag of gazctl -> one of ours, or a row in docs/cli-gazctl.md", { skip }, async (t) => {
  const documented = readFileSync(new URL("../../../docs/cli-gazctl.md", import.meta.url), "utf8");
  const flagsOf = (help: string): readonly string[] => [
    ...new Set(help.match(/(?<![\w-])--[a-z][a-z0-9.-]+/g)),
  ];
  let count = 0;
  for (const command of COMMANDS) {
    const args = ["journals", command, "--help"];
    const theirs = await new Child(args, {}, [gazettePeer("gazctl")]).end();
    const ours = flagsOf((await new Child(args).end()).out);
    // Options begin a line; what the text talks about does not count.
    const options = (theirs.out + theirs.err).split("\n").filter((line) => /^ +(?:-\w, )?--/.test(line));
    for (const flag of flagsOf(options.join("\n"))) {
      const isThere = ours.includes(flag) || documented.includes(`\`${flag}\``);
      assert.ok(isThere, `gazctl journals ${command} ${flag}`);
      count++;
    }
  }
  assert.ok(count > 100, "help texts were read");
  t.diagnostic(`${count} flags`);
});

test("options before the command -> count, as with gazctl", { skip }, async () => {
  for (const side of SIDES) {
    const command = side === "gazctl" ? [gazettePeer("gazctl")] : [process.execPath, BIN];
    const before = ["journals", "--zone=local", "--log.level", "error", `--broker.address=${open[side]}`];
    const listed = await new Child([...before, "list", "-l", "name=test/one"], {}, command).end();
    assert.deepEqual([listed.code, listed.err], [0, ""], side);
    assert.match(listed.out, /test\/one/);
  }
});

test("brokers list, drain at a Go broker -> it does not tell, status 1", { skip }, async () => {
  for (const args of [["list"], ["drain", "local/broker-1"]]) {
    const { code, err } = await new Child(["brokers", ...args, "--address", open.millrace]).end();
    assert.deepEqual(
      [code, /^millrace: the broker at \S+ does not tell: it is no Millrace/.test(err)],
      [1, true],
      err,
    );
  }
});

test("BROKER_ADDRESS -> is where millrace asks, unless a flag says otherwise", { skip }, async () => {
  writeFileSync(join(dir, "empty"), "");
  const env = { BROKER_ADDRESS: open.millrace, LOG_LEVEL: "verbose" };
  const listed = await new Child(["journals", "list", "-l", "prefix=test/", "--json"], env).end();
  assert.equal(listed.code, 0, listed.err);
  assert.equal((JSON.parse(listed.out) as { status: string }).status, "OK");
  const other = await new Child(["journals", "list", "--address", "http://127.0.0.1:1"], env).end();
  assert.match(other.err, /nothing listens on http:\/\/127\.0\.0\.1:1/);
});
