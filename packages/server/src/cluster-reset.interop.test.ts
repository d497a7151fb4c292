// Gazette's own tool resets the head of a journal of ours whose holders are gone for good (ADR 14).
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { peerProgram } from "@millrace/base/testkit";
import { releaseCluster } from "./test-cluster.ts";
import { loseHolder, runProgram } from "./test-lost-holder.ts";

const gazctl = peerProgram("gazctl");

after(releaseCluster);

test("the only holder's disk is lost -> gazctl resets the head", { skip: gazctl.missing }, async () => {
  const { broker, journal, append, read, close } = await loseHolder();
  await runProgram(gazctl.path, [
    "journals",
    "reset-head",
    `--broker.address=${broker.url}`,
    "-l",
    `name=${journal}`,
  ]);
  assert.equal(await append("found"), undefined);
  assert.equal(await read(), "found");
  await close();
});
