// A source whose requests must be signed, over real sockets.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { afterEach, test } from "node:test";
import { gzipSync } from "node:zlib";

import { systemClock } from "@millrace/base";

import { DoorHarness, type RawAnswer } from "./http-source-testkit.ts";

const SECRET = "shared";
let door: DoorHarness;
afterEach(() => door.close());

function hmac(...parts: readonly (string | Uint8Array)[]): string {
  const sum = createHmac("sha256", SECRET);
  for (const part of parts) sum.update(part);
  return sum.digest("hex");
}

function error({ status, body }: RawAnswer): unknown {
  const { error: name, message } = JSON.parse(body) as { error: string; message: string };
  return [status, name, message];
}

test("github: a signed record and batch -> rows; without a signature, or with another one -> 401", async () => {
  const signature = { scheme: "github", secret: SECRET, toleranceSeconds: 300 } as const;
  door = await new DoorHarness().open({ signature });
  const record = '{"origin":"MCI"}';
  const signed = { "X-Hub-Signature-256": `sha256=${hmac(record)}` };
  assert.equal((await door.post(record, signed)).status, 200);
  const batch = `[${record},${record}]`;
  assert.equal((await door.post(batch, { "X-Hub-Signature-256": `sha256=${hmac(batch)}` })).status, 200);
  assert.equal(door.frames.rows("flights/0").length, 3);
  const missing = 'The header "X-Hub-Signature-256" is missing.';
  assert.deepEqual(error(await door.post(record)), [401, "stream.in.invalidSignature", missing]);
  const other = "The signature is not that of the body.";
  assert.deepEqual(error(await door.post(batch, signed)), [401, "stream.in.invalidSignature", other]);
  assert.equal(door.frames.rows("flights/0").length, 3);
});

test("a compressed body -> its signature is that of the bytes that were sent", async () => {
  const signature = { scheme: "github", secret: SECRET, toleranceSeconds: 300 } as const;
  door = await new DoorHarness().open({ signature });
  const record = '{"origin":"MCI"}';
  const sent = gzipSync(record);
  const headers = (sum: string) => ({ "Content-Encoding": "gzip", "X-Hub-Signature-256": `sha256=${sum}` });
  assert.equal((await door.post(sent, headers(hmac(sent)))).status, 200);
  assert.equal((await door.post(sent, headers(hmac(record)))).status, 401);
});

test("stripe, slack: signed now -> 200; recorded an hour ago -> 401", async () => {
  const record = '{"origin":"MCI"}';
  const now = Math.floor(systemClock.wallMs() / 1000);
  const sign = {
    stripe: (at: number) => ({ "Stripe-Signature": `t=${at},v1=${hmac(`${at}.`, record)}` }),
    slack: (at: number) => ({
      "X-Slack-Request-Timestamp": String(at),
      "X-Slack-Signature": `v0=${hmac(`v0:${at}:`, record)}`,
    }),
  };
  for (const scheme of ["stripe", "slack"] as const) {
    door = await new DoorHarness().open({ signature: { scheme, secret: SECRET, toleranceSeconds: 600 } });
    assert.equal((await door.post(record, sign[scheme](now))).status, 200);
    const replayed = await door.post(record, sign[scheme](now - 3600));
    assert.equal(replayed.status, 401);
    assert.match(replayed.body, /away from the time of its receipt \(expected \\u003c= 600 s\)/);
    assert.equal(door.frames.rows("flights/0").length, 1);
    await door.close();
  }
});
