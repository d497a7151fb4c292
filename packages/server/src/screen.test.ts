import assert from "node:assert/strict";
import { test } from "node:test";
import { stderrScreen } from "./screen.ts";

function screen(isTerminal: boolean, audience: "people" | "programs") {
  let written = "";
  const made = stderrScreen({ err: (text) => void (written += text), isTerminal }, audience);
  made.tell("ready\n");
  made.live("1s");
  made.log('{"level":"info"}\n');
  made.live("2s");
  made.live("3s");
  made.endLive();
  made.tell("done\n");
  return written;
}

test("screen: a terminal -> the live line is rewritten, and no log line stands behind it", () => {
  const clear = "\r\u001b[K";
  assert.equal(screen(true, "people"), `ready\n1s${clear}{"level":"info"}\n2s${clear}3s\ndone\n`);
});

test("screen: no terminal -> whole lines", () => {
  assert.equal(screen(false, "people"), 'ready\n1s\n{"level":"info"}\n2s\n3s\ndone\n');
});

test("screen: for programs -> the log alone", () => {
  for (const isTerminal of [true, false]) assert.equal(screen(isTerminal, "programs"), '{"level":"info"}\n');
});
