// Sources, sinks and tables of a process that keeps who owns what in an etcd beside it.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { releaseCluster, testEtcd } from "./test-cluster.ts";
import { post } from "./test-http.ts";
import { scratch, TestPlatform } from "./test-platform.ts";
import { atDoor, createStream, pathColumn, waitForRows } from "./test-streams.ts";

after(releaseCluster);

test("streams on an etcd: killed and started again -> every row once; a second warehouse is refused", async () => {
  const etcd = await testEtcd("ours");
  await etcd.run();
  const data = scratch();
  const flags = ["--etcd.address", etcd.address];
  let platform = await TestPlatform.start(data, flags);
  const url = await createStream(platform.endpoints, "orders", [pathColumn("n")]);
  let sent = 0;
  const send = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      const answer = await post(atDoor(platform.endpoints, url), { n: sent });
      assert.equal(answer.status, 200, answer.text);
      sent++;
    }
  };
  await send(20);
  await waitForRows(platform.endpoints, "main.orders", 20);
  await send(20);
  await platform.killGroup();
  platform = await TestPlatform.start(data, flags);
  await send(20);
  await waitForRows(platform.endpoints, "main.orders", 60);
  const refusal = await TestPlatform.refused(scratch(), flags);
  assert.match(refusal, /the tables of this etcd are in the warehouse of the data directory [0-9a-f]{32}/);
  await send(5);
  await waitForRows(platform.endpoints, "main.orders", 65);
  await platform.stop();
  await etcd.close();
});
