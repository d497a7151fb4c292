import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { openS3Driver } from "./s3-driver.ts";

test("s3 store: opened on any Node that Millrace runs on -> the SDK writes nothing to the log", async () => {
  const warnings: string[] = [];
  const note = ({ message }: Error): void => void warnings.push(message);
  process.on("warning", note);
  await openS3Driver("bucket", { Region: "us-east-1" });
  await turn();
  process.off("warning", note);
  assert.deepEqual(warnings, []);
});
