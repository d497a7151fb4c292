// Three brokers as real processes on one etcd: journals with three replicas, while brokers die, stand still, lose their
// connections to etcd, and etcd itself dies. Every writer's book is compared with what each broker reads.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { FRAGMENT_STORE } from "./journal-templates.ts";
import { ClusterLoad } from "./test-cluster-load.ts";
import { missingEtcd, releaseCluster, soundDirectory, testEtcd, TestBrokerProcess } from "./test-cluster.ts";
import { ask } from "./test-http.ts";
import { scratch, until } from "./test-platform.ts";
import { missingSmallDisk, SmallDisk } from "./test-small-disk.ts";

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
    store: FRAGMENT_STORE,
  });
  await load.goesOn(5);
  await brokers[2]!.kill();
  await brokers[2]!.start();
  await load.goesOn(5);
  await load.pause();
  await load.checkEach(brokers.map((broker) => broker.transport()));
  await transport.close();
  for (const broker of brokers) await broker.stop();
  // The others have all journals themselves.
  assert.match(brokers[0]!.life.stderr, /"stops-without-handing-over".*"keep":"/);
  for (const broker of brokers) await soundDirectory(broker, fileRoot);
  assert.equal(load.failures.get("INTERNAL"), undefined);
  await etcd.close();
});

const noSmallDisk = missingSmallDisk();

test(
  "one of three has a full disk -> 507, or 503 with the reason, at every broker; reads go on; with room all is well",
  { skip: noSmallDisk },
  async () => {
    const etcd = await testEtcd("ours");
    await etcd.run();
    const fileRoot = scratch();
    const disk = SmallDisk.mounted(128)!;
    const small = ["--broker.reserve", "12MiB", "--broker.segment-size", "2MiB"];
    const place = { etcd: etcd.address, fileRoot };
    const brokers = [
      await TestBrokerProcess.started(place),
      await TestBrokerProcess.started(place),
      await TestBrokerProcess.started({ ...place, data: disk.data, flags: small }),
    ];
    const transport = brokers[0]!.transport();
    const options = { prefix: "full", journals: BROKERS, replication: BROKERS, store: FRAGMENT_STORE };
    const load = await ClusterLoad.start(transport, options);
    await load.goesOn();
    await load.pause();
    await disk.fill(0);
    const put = ({ url }: TestBrokerProcess, journal: string) =>
      ask(`${url}/${journal}`, { method: "PUT", body: "x" });
    for (const [i, { journal }] of load.ledgers.entries()) {
      const broker = brokers[i]!;
      let said = "";
      await until(
        () => `${journal} is refused for want of space: ${said}`,
        60_000,
        async () => {
          const { status, text } = await put(broker, journal);
          said = `${status} ${text}`;
          return (status === 507 || status === 503) && /space/.test(text);
        },
      );
      assert.equal((await ask(`${broker.url}/${journal}?offset=0&block=false`)).status, 206);
    }
    await brokers[2]!.says(503, /space/i);
    disk.clear();
    await brokers[2]!.says(200, /ok/);
    load.resume();
    await load.goesOn();
    await load.pause();
    await transport.close();
    for (const broker of brokers) await broker.stop();
    for (const broker of brokers) await soundDirectory(broker, fileRoot);
    disk.unmount();
    await etcd.close();
  },
);
