// Sources, sinks and tables of a process that keeps who owns what in an etcd beside it.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { releaseCluster, testEtcd, TestBrokerProcess } from "./test-cluster.ts";
import { ask, post } from "./test-http.ts";
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

test("streams on an etcd: the partition is another broker's -> frames are passed on, plain bytes are not", async () => {
  const etcd = await testEtcd("ours");
  await etcd.run();
  const broker = await TestBrokerProcess.started({ etcd: etcd.address });
  const flags = ["--etcd.address", etcd.address, "--broker.limit", "0"];
  const platform = await TestPlatform.start(scratch(), flags);
  const url = await createStream(platform.endpoints, "orders", [pathColumn("n")]);
  for (let n = 0; n < 20; n++) {
    const answer = await post(atDoor(platform.endpoints, url), { n });
    assert.equal(answer.status, 200, answer.text);
  }
  await waitForRows(platform.endpoints, "main.orders", 20);
  for (const door of [broker.url, platform.endpoints.broker]) {
    const path = `${door}/stream/1/1/orders/orders/p000`;
    assert.equal((await ask(path, { method: "PUT", body: "MF1 not from a source\n" })).status, 403);
  }
  await platform.stop();
  await broker.stop();
  await etcd.close();
});
