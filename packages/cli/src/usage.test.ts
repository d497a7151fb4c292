// Bad usage and what a person gets for it: one line with the value and the bound, status 2; failures are status 1.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runRecorded } from "./recorded-io.ts";

/** Nothing ever listens on it. */
const NOBODY = "http://127.0.0.1:1";

const BAD_USAGE: readonly (readonly [args: string, message: RegExp])[] = [
  ["journals lst", /unknown command 'lst' \(Did you mean list\?\); see millrace journals --help$/],
  ["journal list", /unknown command 'journal' \(Did you mean journals\?\); see millrace --help$/],
  ["sql --jso x", /unknown option '--jso' \(Did you mean --json\?\); see millrace sql --help$/],
  [
    "sql -o xml x",
    /argument 'xml' is invalid\. Allowed choices are table, json, ndjson, csv; see millrace sql/,
  ],
  ["sql --address localhost:8082 x", /--address localhost:8082: expected http:\/\/HOST:PORT$/],
  [
    "journals append",
    /required option '-l, --selector <SELECTOR>' not specified; see millrace journals append/,
  ],
  [`journals list -l (( --address ${NOBODY}`, /could not match "\(\("/],
  [
    "journals read -l name=a --offset -2",
    /--offset -2: expected a whole number in \[-1, 9007199254740991\]$/,
  ],
  ["journals read -l name=a --offset 1 --tail", /--tail excludes --offset$/],
  ["journals fragments -l name=a --from x", /--from x: expected Unix seconds/],
  ["journals read -l name=a --from x", /--from x: expected Unix seconds/],
  [
    "journals append -l name=a -m modulo",
    /--mapping modulo maps records: it needs --framing lines or fixed$/,
  ],
  ["journals append -l name=a --base64 -f fixed -m modulo", /--base64 is of keys: it needs --framing lines/],
  [
    "journals list --broker.address localhost:8080",
    /--address localhost:8080: expected http:\/\/HOST:PORT, /,
  ],
  [
    "journals list --broker.cache.size -1",
    /--broker\.cache\.size -1: expected a whole number in \[0, 1000000\]$/,
  ],
  ["journals list --broker.cache.ttl x", /--broker\.cache\.ttl: time: invalid duration "x"$/],
  [`brokers drain local/a --timeout soon --address ${NOBODY}`, /--timeout: time: invalid duration "soon"$/],
  ["brokers list --address http://127.0.0.1:195160", /--address http:\/\/127\.0\.0\.1:195160: expected http/],
  ["brokers drain http://127.0.0.1:195160", /http:\/\/127\.0\.0\.1:195160: expected http:\/\/HOST:PORT or/],
  [
    "journals list --address http://127.0.0.1:195160",
    /--address http:\/\/127\.0\.0\.1:195160: expected http/,
  ],
  ["sql --address http://127.0.0.1:195160 x", /--address http:\/\/127\.0\.0\.1:195160: expected http/],
  ["brokers list --zone a", /unknown option '--zone'/],
  ["brokers drain local/a --broker.cache.size 1", /unknown option '--broker\.cache\.size'/],
  [
    "journals list --broker.auth-keys !",
    /--broker\.auth-keys: failed to decode key at index 0: illegal base64 data$/,
  ],
  [
    "brokers list --broker.auth-keys !",
    /--broker\.auth-keys: failed to decode key at index 0: illegal base64 data$/,
  ],
  ["journals list --log.level loud", /--log\.level loud: expected one of trace, debug, /],
  ["journals edit -l name=a --max-txn-size x", /--max-txn-size x: expected a whole number in \[1, /],
  [
    "journals suspend",
    /required option '-l, --selector <SELECTOR>' not specified; see millrace journals suspend/,
  ],
  ["produce nowhere", /"nowhere" is not a URL/],
  [`produce ${NOBODY}/x --batch 0`, /--batch 0: expected a whole number in \[1, 100000\]$/],
  [
    `produce ${NOBODY}/x --connections 99999`,
    /--connections 99999: expected a whole number in \[1, 10000\]$/,
  ],
  [`produce ${NOBODY}/x --generate 1.5`, /--generate 1\.5: expected a whole number/],
  [`produce ${NOBODY}/x --repeat 2`, /--repeat replays a file: it needs --input$/],
  ["sinks create a b --table t --columns {", /--columns: /],
  ["sinks create a b --table t --columns [] --connection {", /--connection: /],
  ["serve", /missing required argument 'component'/],
  ["serve brokr", /"brokr" is not a component \(expected etcd, broker, /],
  ["up --rows 0", /--rows 0: expected a whole number in \[1, /],
  ["up --exit --no-demo", /--exit waits for the demo: it excludes --no-demo$/],
  ["up --broker.memory 1", /flag --broker\.memory: 1 is out of range \(1MiB <= value <= 8GiB\)$/],
  ["up --broker.listen 0.0.0.0:80", /is reachable from other machines.*--auth\.token/],
  ["print-config --broker.listen 0.0.0.0:80", /is reachable from other machines.*--auth\.token/],
  ["print-config --auth.token short", /auth\.token has 5 characters \(expected >= 16\)$/],
  ["print-config --ports some", /flag --ports: "some" is not one of default, free$/],
];

for (const [args, message] of BAD_USAGE) {
  test(`usage: millrace ${args} -> one line, status 2`, async () => {
    const { code, out, err } = await runRecorded(args.split(" "));
    assert.equal(code, 2);
    assert.equal(out, "");
    assert.match(err, /^millrace: [^\n]+\n$/);
    assert.match(err.trimEnd(), message);
  });
}

for (const args of [
  `sql --address ${NOBODY} x`,
  `sources list --address ${NOBODY}`,
  `journals list --address ${NOBODY}`,
  `journals list --watch --address ${NOBODY}`,
  `journals read -l name=a --block --address ${NOBODY}`,
  `brokers list --address ${NOBODY}`,
  `journals suspend -l name=a --broker.address ${NOBODY}`,
  `journals reset-head -l name=a --address ${NOBODY}`,
  `journals prune -l name=a --address ${NOBODY}`,
  `journals store-health file:/// --address ${NOBODY}`,
  `produce ${NOBODY}/stream/1/a/b --generate 10`,
]) {
  test(`nobody listens where it was told: millrace ${args.split(" ", 2).join(" ")} -> says so, status 1`, async () => {
    const { code, out, err } = await runRecorded(args.split(" "));
    assert.deepEqual([code, out], [1, ""]);
    assert.equal(
      err,
      `millrace: nothing listens on ${NOBODY}: ` +
        "is the address right, and is what should answer there up? It may still be starting\n",
    );
  });
}

test("nobody listens where the directory's platform should -> says how to start it, status 1", async (t) => {
  const data = mkdtempSync(join(tmpdir(), "millrace-usage-"));
  t.after(() => rmSync(data, { recursive: true }));
  writeFileSync(join(data, "endpoints.json"), JSON.stringify({ pid: 1, broker: NOBODY, warehouse: NOBODY }));
  for (const command of ["journals list", "brokers list", "sql x"]) {
    const { code, err } = await runRecorded([...command.split(" "), "--data", data]);
    const message = `millrace: nothing listens on ${NOBODY}: is the platform up? Start it with millrace up\n`;
    assert.deepEqual([code, err], [1, message], command);
  }
});

test("no platform on a directory, none with the door, no such file -> status 1 and says so", async (t) => {
  const data = mkdtempSync(join(tmpdir(), "millrace-usage-"));
  t.after(() => rmSync(data, { recursive: true }));
  const run = async (...args: string[]): Promise<string> => {
    const { code, err } = await runRecorded(args);
    assert.equal(code, 1);
    return err;
  };
  assert.match(
    await run("sql", "--data", data, "x"),
    /no platform runs on .*: start one with millrace up --data /,
  );
  assert.match(await run("doctor", "--data", data), /is not a data directory: it has no format\.json/);
  writeFileSync(join(data, "endpoints.json"), JSON.stringify({ pid: 1, broker: NOBODY }));
  assert.match(await run("sql", "--data", data, "x"), /has no warehouse, only broker$/m);
  const missing = join(data, "missing");
  assert.match(
    await run("produce", `${NOBODY}/x`, "-i", missing),
    /cannot open .*missing: no such file or directory$/m,
  );
  const file = await runRecorded([
    "journals",
    "list",
    "--address",
    NOBODY,
    "--broker.trusted-ca-file",
    missing,
  ]);
  assert.equal(file.code, 2);
  assert.match(file.err, /--broker\.trusted-ca-file: cannot read .*missing: .*no such file or directory/);
  assert.match(
    await run("journals", "apply", "--specs", missing),
    /cannot open .*missing: no such file or directory$/m,
  );
});

test("no command -> the list of commands on stderr, status 2; --version -> the version, status 0", async () => {
  const nothing = await runRecorded([]);
  assert.equal(nothing.code, 2);
  assert.match(nothing.err, /^Usage: millrace/);
  assert.deepEqual(await runRecorded(["--version"]), { code: 0, out: "0.1.0\n", err: "" });
});
