import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import { goYaml } from "./go-yaml.ts";

const DATE = '{{ .Spool.FirstAppendTime.Format "2006-01-02" }}';
const HOUR = '{{ .Spool.FirstAppendTime.Format "15" }}';

// What gazctl writes for the same values.
for (const [what, value, want] of [
  ["lists, as far to the right as their name", { stores: ["file:///"] }, "stores:\n- file:///\n"],
  ["what YAML 1.1 takes for a switch", { value: "yes" }, 'value: "yes"\n'],
  ["an integer of 64 bits", { value: 2n ** 63n - 1n }, "value: 9223372036854775807\n"],
  ["nothing", { value: "" }, 'value: ""\n'],
  ["signs of YAML", { value: "{{ .One }}" }, "value: '{{ .One }}'\n"],
  ["a colon and a space", { value: "a: b" }, "value: 'a: b'\n"],
  ["quotes of both kinds", { value: "'\"" }, "value: '''\"'\n"],
  ["quotes in the middle", { value: `a"b'c` }, `value: a"b'c\n`],
  [
    "a long template",
    { children: [{ path_postfix_template: `date=${DATE}/hour=${HOUR}` }] },
    `children:\n- path_postfix_template: date=${DATE}/hour={{\n` +
      `    .Spool.FirstAppendTime.Format "15" }}\n`,
  ],
] as const) {
  test(`YAML: ${what} -> as Go writes it, and the same value`, async () => {
    const yaml = await goYaml(value);
    assert.equal(yaml, want);
    assert.deepEqual(
      parse(yaml, { intAsBigInt: "value" in value && typeof value.value === "bigint" }),
      value,
    );
  });
}
