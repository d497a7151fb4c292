// What commands about journals say of what they were given, before they call anybody.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runRecorded } from "./recorded-io.ts";
import { scratch } from "./test-children.ts";

test("apply: a file that is no YAML, or has a bad spec -> its name, and the line", async () => {
  const file = join(scratch(), "specs.yaml");
  const cases: readonly (readonly [yaml: string, says: RegExp])[] = [
    ["name: a/b\nname: c/d\n", /^millrace: \/\S+specs\.yaml: YAML decode failed: .* at line 2, column 1$/m],
    ["name: a/b\nreplication: 99\n", /^millrace: \/\S+specs\.yaml: /],
  ];
  for (const [yaml, says] of cases) {
    writeFileSync(file, yaml);
    const { code, err } = await runRecorded(["journals", "apply", "--specs", file, "--dry-run"]);
    assert.match(err, says);
    assert.equal(code, 2);
  }
});

test("fragments: a duration that is none -> the flag", async () => {
  const flags = ["--address", "http://127.0.0.1:1", "-l", "name=a/b", "--url-ttl", "nonsense"];
  const { code, err } = await runRecorded(["journals", "fragments", ...flags]);
  assert.equal(err, 'millrace: --url-ttl: time: invalid duration "nonsense"\n');
  assert.equal(code, 2);
});
