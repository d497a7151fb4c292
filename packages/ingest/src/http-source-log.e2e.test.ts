// What the door logs: never the secret of a path.
import assert from "node:assert/strict";
import { test } from "node:test";

import { WireError, type Logger } from "@millrace/base";

import { DoorHarness } from "./http-source-testkit.ts";

test("HTTP source: whatever happens -> the log does not say the secret", async () => {
  const lines: string[] = [];
  const note = (event: string, fields?: object): void => {
    lines.push(
      `${event} ${JSON.stringify(fields, (_name, value: unknown) => (value instanceof Error ? value.stack : value))}`,
    );
  };
  const logger: Logger = { debug: note, info: note, warn: note, error: note, with: () => logger };
  const door = await new DoorHarness().open({ logger });
  for (const code of ["OUTCOME_UNKNOWN", "INTERNAL", "DISK_FULL"] as const) {
    let failures = 1;
    door.frames.fail = () => (failures-- > 0 ? new WireError(code, "why") : undefined);
    await door.post('{"origin":1}');
  }
  await door.post("{");
  await door.post('{"origin":1}', {}, `${door.path}x`);
  await door.request("PUT", door.path);
  await door.request("POST", `${door.path}/more`);
  await door.close();
  assert.ok(lines.some((line) => line.startsWith("frame-retried")));
  for (const line of lines) assert.ok(!line.includes(door.secret), line);
});
