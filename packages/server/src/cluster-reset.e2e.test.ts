// The way out of a journal whose holders are gone for good (ADR 14), with real processes.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { releaseCluster } from "./test-cluster.ts";
import { loseHolder, runProgram } from "./test-lost-holder.ts";
import { BIN } from "./test-platform.ts";

after(releaseCluster);

test("the only holder's disk is lost -> appends name the way out, and it is one", async () => {
  const lost = await loseHolder();
  const { broker, journal, append, read } = lost;
  assert.match((await append("never"))!, /^503 .*millrace journals reset-head -l name=lost\/one/s);
  const args = ["journals", "reset-head", "-l", `name=${journal}`, "--broker.address", broker.url];
  assert.match(await runProgram(BIN, args), /lost\/one: appends go on at 0/);
  assert.equal(await append("found"), undefined);
  assert.equal(await read(), "found");
  assert.match(broker.life.stderr, /journal-head-reset.*lost\/one.*"lostFrom":0/);
  await lost.close();
});
