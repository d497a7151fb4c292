// Three brokers as real processes on one etcd: journals with three replicas, while brokers die, stand still, lose their
// connections to etcd, and etcd itself dies. Every writer's book is compared with what each broker reads.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ClusterLoad } from "./test-cluster-load.ts";
import { missingEtcd, releaseCluster, soundDirectory, testEtcd, TestBrokerProcess } from "./test-cluster.ts";
import { scratch } from "./test-platform.ts";

const BROKERS = 3;

after(releaseCluster);

test("three brokers -> any takes appends; one is killed and comes back -> nothing is lost", async () => {
  const etcd = await testEtcd(missingEtcd("etcd's own") === false ? "etcd's own" : "ours");
  await etcd.run();
  const fileRoot = scratch();
  const flags = ["--etcd.lease", "5s"];
  const place = { etcd: etcd.address, fileRoot, flags };
  const brokers = await Promise.all(Array.from({ length: BROKERS }, () => TestBrokerProcess.started(place)));
  const transport = brokers[0]!.transport();
  const load = await ClusterLoad.start(transport, {
    prefix: "three",
    journals: 4,
    replication: 3,
    store: "file:///fragments/",
  });
  await load.goesOn(5);
  await brokers[2]!.kill();
  await brokers[2]!.start();
  await load.goesOn(5);
  await load.pause();
  for (const broker of brokers) {
    const reader = broker.transport();
    await load.check(reader);
    await reader.close();
  }
  await transport.close();
  for (const broker of brokers) await broker.stop();
  for (const broker of brokers) await soundDirectory(broker, fileRoot);
  assert.equal(load.failures.get("INTERNAL"), undefined);
  await etcd.close();
});
