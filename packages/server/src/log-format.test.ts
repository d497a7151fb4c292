import assert from "node:assert/strict";
import { test } from "node:test";
import { formattedLine } from "./log-format.ts";

const LINE = `${JSON.stringify({
  time: "2026-11-21T16:10:20.631Z",
  level: "warn",
  event: "part-failed",
  part: "the broker",
  retryMs: 1000,
  error: { name: "WireError", message: 'said "no"\nand left', stack: "…" },
  urls: ["a", "b"],
  empty: "",
})}\n`;

test("log format: json -> as it is", () => assert.equal(formattedLine(LINE, "json"), LINE));

test("log format: text -> one line as logrus writes it, quoted where something is in it", () => {
  assert.equal(
    formattedLine(LINE, "text"),
    'time="2026-11-21T16:10:20.631Z" level=warn msg=part-failed part="the broker" retryMs=1000 ' +
      'error="said \\"no\\"\\nand left" urls="[\\"a\\",\\"b\\"]" empty=""\n',
  );
});

test("log format: color -> the level first, one line", () => {
  assert.match(
    formattedLine(LINE, "color"),
    /^\u001b\[33mWARN\u001b\[0m\[2026[^\n]* part-failed part="the broker"[^\n]*\n$/,
  );
});
