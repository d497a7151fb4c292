// `millrace serve broker --etcd.address`: a broker whose coordination store is an etcd elsewhere, etcd's own and our
// component, and what becomes of it when either of them dies, stands still or loses its way.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { never, utf8 } from "@millrace/base";
import type { StoreOp } from "@millrace/metadata";
import { TcpProxy } from "@millrace/metadata/testkit";
import { upsertChange } from "@millrace/protocol";
import { ClusterLoad, specOf } from "./test-cluster-load.ts";
import {
  ETCD_KINDS,
  etcdClient,
  keysBelow,
  missingEtcd,
  releaseCluster,
  testEtcd,
  TestBrokerProcess,
  type TestEtcd,
} from "./test-cluster.ts";
import { post } from "./test-http.ts";
import { missingSmallDisk, SmallDisk } from "./test-small-disk.ts";
import { atDoor, createStream, pathColumn, waitForRows } from "./test-streams.ts";
import { scratch, STOP_MS, TestPlatform, until } from "./test-platform.ts";

const MEMBERS = "/gazette/cluster/members/";
/** Nobody waits for the end of this one. */
const LONG_LEASE = ["--etcd.lease", "1h"];

after(releaseCluster);

function onEtcd(what: string, run: (etcd: TestEtcd) => Promise<void>): void {
  for (const kind of ETCD_KINDS) {
    test(`on ${kind}: ${what}`, { skip: missingEtcd(kind), timeout: 240_000 }, async () => {
      const etcd = await testEtcd(kind);
      try {
        await run(etcd);
      } finally {
        await etcd.close();
      }
    });
  }
}

onEtcd(
  "etcd comes after the broker -> it listens, says what it waits for, and is ready then",
  async (etcd) => {
    const broker = await TestBrokerProcess.at({ etcd: etcd.address });
    broker.launch();
    await broker.says(503, /^the broker is starting\netcd has not answered yet\n$/);
    assert.equal(broker.life.isReady, false);
    await until("it says so", 30_000, () => broker.life.stderr.includes('"event":"etcd-not-reached"'));
    await etcd.run();
    await broker.life.ready();
    await broker.says(200, /^ok\n$/);
    const { id, lease, cluster } = broker.member();
    assert.match(id!, /^broker-[0-9a-f]{8}$/);
    const store = await etcdClient(etcd);
    const { kvs, header } = await store.range({ key: `${MEMBERS}local#${id}` }, never);
    assert.deepEqual([kvs[0]?.lease, header.clusterId], [BigInt(lease!), BigInt(cluster!)]);
    await broker.stop();
    assert.deepEqual(await keysBelow(store, MEMBERS), [], "its lease is given back");
    await store.close();
  },
);

onEtcd(
  "kill -9 again and again -> its next life has the id at once, and everything acknowledged",
  async (etcd) => {
    await etcd.run();
    const broker = await TestBrokerProcess.started({ etcd: etcd.address, flags: LONG_LEASE });
    const { id } = broker.member();
    const transport = broker.transport();
    const load = await ClusterLoad.start(transport, { prefix: "kill", journals: 4, replication: 1 });
    for (let kill = 0; kill < 3; kill++) {
      await load.goesOn();
      await broker.kill();
      await broker.start(LONG_LEASE);
      assert.equal(broker.member()["id"], id);
    }
    await load.goesOn();
    await load.pause();
    await load.check();
    await transport.close();
    await broker.stop();
  },
);

onEtcd(
  "a spec that cannot be decoded, with an assignment -> the others are assigned, and readiness says so",
  async (etcd) => {
    await etcd.run();
    const store = await etcdClient(etcd);
    const item = "/gazette/cluster/items/foreign/journal";
    const assignment = "/gazette/cluster/assign/foreign/journal#local#broker-gone#0";
    const put = (key: string, value: string): StoreOp => ({ kind: "put", key, value: utf8(value) });
    await store.txn({ compare: [], success: [put(item, "garbage"), put(assignment, "")] }, never);
    const broker = await TestBrokerProcess.started({ etcd: etcd.address });
    const transport = broker.transport();
    const load = await ClusterLoad.start(transport, { prefix: "sound", journals: 3, replication: 1 });
    await load.goesOn();
    await broker.says(
      200,
      /^ok\ndegraded: 1 key in etcd cannot be decoded, see keyspace-value-undecodable in the log\n$/,
    );
    assert.equal((await keysBelow(store, assignment)).length, 1, "its assignment is left alone");
    await store.txn({ compare: [], success: [{ kind: "delete", key: item }] }, never);
    await broker.says(200, /^ok\n$/);
    const isLeft = async (): Promise<boolean> => (await keysBelow(store, assignment)).length > 0;
    await until("the dead assignment is removed", 10_000, async () => !(await isLeft()));
    await load.pause();
    await load.check();
    await transport.close();
    await broker.stop();
    await store.close();
  },
);

onEtcd(
  "what brokers wrote of assignments and themselves is garbage, and one comes -> all is written again",
  async (etcd) => {
    await etcd.run();
    const store = await etcdClient(etcd);
    const brokers = [
      await TestBrokerProcess.started({ etcd: etcd.address }),
      await TestBrokerProcess.started({ etcd: etcd.address }),
    ];
    const transport = brokers[0]!.transport();
    const load = await ClusterLoad.start(transport, { prefix: "written", journals: 3, replication: 2 });
    await load.goesOn();
    await load.pause();
    const assignments = await keysBelow(store, "/gazette/cluster/assign/");
    const members = await keysBelow(store, MEMBERS);
    assert.deepEqual([assignments.length, members.length], [6, 2]);
    const garbage = (key: string): StoreOp => ({
      kind: "put",
      key,
      value: utf8("garbage"),
      ignoreLease: true,
    });
    await store.txn({ compare: [], success: [...assignments, ...members].map(garbage) }, never);
    const newcomer = await TestBrokerProcess.started({ etcd: etcd.address });
    const there = newcomer.transport();
    const more = await ClusterLoad.start(there, { prefix: "more", journals: 3, replication: 2 });
    load.resume();
    await Promise.all([load.goesOn(), more.goesOn()]);
    for (const broker of [...brokers, newcomer]) await broker.says(200, /^ok\n$/);
    assert.equal((await keysBelow(store, MEMBERS)).length, 3);
    for (const one of [load, more]) {
      await one.pause();
      await one.check();
    }
    for (const one of [transport, there]) await one.close();
    for (const broker of [...brokers, newcomer]) await broker.stop();
    await store.close();
  },
);

onEtcd("etcd dies and comes back -> appends go on, and the silence is said while it lasts", async (etcd) => {
  await etcd.run();
  const broker = await TestBrokerProcess.started({ etcd: etcd.address, flags: LONG_LEASE });
  const transport = broker.transport();
  const load = await ClusterLoad.start(transport, { prefix: "away", journals: 3, replication: 1 });
  await load.goesOn();
  await etcd.kill();
  await broker.says(200, /^ok\ndegraded: etcd has not answered for \d+ s\n$/);
  await load.goesOn();
  await etcd.run();
  await broker.says(200, /^ok\n$/);
  await load.goesOn();
  await load.pause();
  await load.check();
  assert.equal(broker.life.exit, undefined, "the same life");
  await transport.close();
  await broker.stop();
});

for (const alarm of ["CORRUPT", "NOSPACE"]) {
  const own = "etcd's own";
  const options = { skip: missingEtcd(own), timeout: 240_000 };
  test(
    `on ${own}: alarm ${alarm} -> appends go on; it is said, and waited for at a start`,
    options,
    async () => {
      const says = { CORRUPT: "corrupt cluster", NOSPACE: "mvcc: database space exceeded" }[alarm]!;
      const etcd = await testEtcd(own);
      try {
        await etcd.run();
        const raise = async (action: string): Promise<void> => {
          const answer = await post(`${etcd.address}/v3/maintenance/alarm`, { action, memberID: "1", alarm });
          assert.equal(answer.status, 200, answer.text);
        };
        const broker = await TestBrokerProcess.started({ etcd: etcd.address, flags: LONG_LEASE });
        const transport = broker.transport();
        const load = await ClusterLoad.start(transport, { prefix: "alarm", journals: 2, replication: 1 });
        await load.goesOn();
        await raise("ACTIVATE");
        const stop = new AbortController();
        const spec = specOf("alarm/new", 0, { prefix: "alarm", journals: 1, replication: 1 });
        const refused = assert.rejects(transport.apply({ changes: [upsertChange(spec, 0)] }, stop.signal));
        await broker.says(200, new RegExp(`^ok\ndegraded: etcd has an alarm: etcdserver: ${says}\n$`));
        stop.abort(new Error("it is told"));
        await refused;
        await load.goesOn();
        await load.pause();
        await load.check();
        await transport.close();
        assert.equal(broker.life.exit, undefined, "the same life");
        await broker.kill();
        broker.launch(LONG_LEASE);
        await broker.says(503, new RegExp(`\netcd has not answered yet: etcdserver: ${says}\n`));
        await raise("DEACTIVATE");
        await broker.life.ready();
        await broker.says(200, /^ok\n$/);
        await broker.stop();
      } finally {
        await etcd.close();
      }
    },
  );
}

onEtcd("stopped past its lease -> ends itself when it goes on, and loses nothing", async (etcd) => {
  await etcd.run();
  const store = await etcdClient(etcd);
  const broker = await TestBrokerProcess.started({ etcd: etcd.address, flags: ["--etcd.lease", "2s"] });
  const transport = broker.transport();
  const load = await ClusterLoad.start(transport, { prefix: "pause", journals: 3, replication: 1 });
  await load.goesOn();
  broker.freeze();
  await until("its lease is over", 60_000, async () => (await keysBelow(store, MEMBERS)).length === 0, 100);
  broker.thaw();
  assert.deepEqual(await broker.ended(), { code: 1, signal: null });
  assert.match(broker.life.stderr, /unable to keep member lease alive|member key not found/);
  await broker.start();
  await load.goesOn();
  await load.pause();
  await load.check();
  await transport.close();
  await broker.stop();
  await store.close();
});

onEtcd("connections to etcd are cut and refused under load -> nothing is lost", async (etcd) => {
  await etcd.run();
  const proxy = await TcpProxy.to(etcd.port);
  const broker = await TestBrokerProcess.started({
    etcd: `http://127.0.0.1:${proxy.port}`,
    flags: LONG_LEASE,
  });
  const transport = broker.transport();
  const load = await ClusterLoad.start(transport, { prefix: "cut", journals: 3, replication: 1 });
  for (let cut = 0; cut < 5; cut++) {
    await load.goesOn(1);
    if (cut % 2 === 0) proxy.cut();
    else {
      proxy.refuse();
      await load.goesOn(1);
      proxy.forward();
    }
  }
  await load.pause();
  await load.check();
  await transport.close();
  await broker.stop();
  await proxy.close();
});

onEtcd(
  "two processes with one id -> the second says so and waits; it takes over when the first ends",
  async (etcd) => {
    await etcd.run();
    const flags = ["--broker.id", "the-one"];
    const first = await TestBrokerProcess.started({ etcd: etcd.address, flags });
    const second = await TestBrokerProcess.at({ etcd: etcd.address, flags });
    second.launch();
    await second.says(503, /another process has this broker's id/);
    assert.match(second.life.stderr, /"event":"former-directory-in-use".*"by":"local#the-one"/);
    assert.equal(first.life.exit, undefined);
    await first.stop();
    await second.life.ready();
    await second.says(200, /^ok\n$/);
    await second.stop();
  },
);

test("a data directory that belongs elsewhere -> refused, saying where it belongs; nothing in it changes", async () => {
  const [one, other] = [await testEtcd("ours"), await testEtcd("ours")];
  await Promise.all([one.run(), other.run()]);
  const broker = await TestBrokerProcess.started({ etcd: one.address });
  const transport = broker.transport();
  const load = await ClusterLoad.start(transport, { prefix: "home", journals: 1, replication: 1 });
  await load.goesOn();
  await load.pause();
  await broker.stop();
  const before = broker.member();
  const lost = async (flags: readonly string[]): Promise<string> => {
    const life = TestPlatform.launch(broker.data, flags, ["serve", "broker"]);
    assert.equal((await life.ended(60_000)).code, 1);
    return life.stderr;
  };
  assert.match(
    await lost(["--etcd.address", other.address]),
    /holds journals of etcd cluster [0-9a-f]+, prefix/,
  );
  const elsewhere = ["--etcd.address", one.address, "--etcd.prefix", "/else/where"];
  assert.match(
    await lost(elsewhere),
    /and --etcd\.address leads to etcd cluster [0-9a-f]+, prefix \/else\/where/,
  );
  assert.match(await lost([]), /holds journals of etcd cluster .*: give --etcd\.address, or another --data/);
  assert.deepEqual(broker.member(), before);
  assert.equal(existsSync(join(broker.data, "quarantine")), false);

  const alone = scratch();
  await (await TestPlatform.start(alone, [])).stop();
  const moved = TestPlatform.launch(alone, ["--etcd.address", one.address], ["serve", "broker"]);
  assert.equal((await moved.ended(60_000)).code, 1);
  assert.match(moved.stderr, /has a coordination store of its own/);

  await broker.start();
  await load.check();
  await transport.close();
  await broker.stop();
  await Promise.all([one.close(), other.close()]);
});

test("its data directory is empty -> refused while that alone has bytes; back again -> goes on", async () => {
  const etcd = await testEtcd("ours");
  await etcd.run();
  const flags = ["--etcd.lease", "5s", "--broker.id", "home"];
  const broker = await TestBrokerProcess.started({ etcd: etcd.address, flags });
  const transport = broker.transport();
  const load = await ClusterLoad.start(transport, { prefix: "home", journals: 1, replication: 1 });
  await load.goesOn();
  await load.pause();
  const away = `${broker.data}-away`;
  const id = readFileSync(join(broker.data, "directory-id"), "utf8").trim();
  for (const start of ["first", "second"]) {
    await broker.kill();
    renameSync(broker.data, away);
    mkdirSync(broker.data);
    broker.launch();
    assert.equal((await broker.ended()).code, 1, start);
    const { stderr } = broker.life;
    assert.ok(stderr.includes(`data directory ${broker.data} is new`), stderr);
    assert.ok(stderr.includes(`expected is ${id}, which broker local#home had`), stderr);
    assert.match(stderr, /bytes of journals: home\/\S+\. Mount its volume, .* with --new-data allow/);
    rmSync(broker.data, { recursive: true });
    renameSync(away, broker.data);
    await broker.start();
    await load.check();
  }
  await transport.close();
  await broker.kill();
  rmSync(broker.data, { recursive: true });
  broker.launch(["--new-data", "refuse"]);
  assert.equal((await broker.ended()).code, 1);
  assert.match(broker.life.stderr, /has no data, and --new-data refuse takes none that is new/);
  assert.equal(existsSync(broker.data), false);
  await broker.start(["--new-data", "allow"]);
  assert.match(broker.life.stderr, /"event":"data-directory-replaced"/);
  await broker.stop();
  await etcd.close();
});

const noDisk = missingSmallDisk();

test(
  "a broker without a given id, its volume is not mounted -> refused; at a new disk -> taken",
  { skip: noDisk },
  async () => {
    const etcd = await testEtcd("ours");
    await etcd.run();
    const disk = SmallDisk.mounted(64)!;
    const small = ["--broker.reserve", "12MiB", "--broker.segment-size", "2MiB"];
    const place = { etcd: etcd.address, data: disk.data, flags: ["--etcd.lease", "5s", ...small] };
    const broker = await TestBrokerProcess.started(place);
    const transport = broker.transport();
    const load = await ClusterLoad.start(transport, { prefix: "vol", journals: 1, replication: 1 });
    await load.goesOn();
    await load.pause();
    await transport.close();
    await broker.kill();
    disk.unmount();
    broker.launch();
    assert.equal((await broker.ended()).code, 1);
    assert.match(broker.life.stderr, /expected is [0-9a-f]{32}, which broker local#broker-[0-9a-f]{8} had/);
    assert.match(broker.life.stderr, /bytes of journals: vol\/\S+\. Mount its volume/);
    rmSync(broker.data, { recursive: true });
    disk.mountEmpty();
    await broker.start();
    await broker.stop();
    disk.unmount();
    await etcd.close();
  },
);

test("a member file that is damaged -> refused, naming it", async () => {
  const etcd = await testEtcd("ours");
  await etcd.run();
  const broker = await TestBrokerProcess.started({ etcd: etcd.address });
  await broker.stop();
  writeFileSync(join(broker.data, "member.json"), '{"cluster":1');
  broker.launch();
  assert.equal((await broker.ended()).code, 1);
  assert.match(broker.life.stderr, /member\.json: it does not say whose broker this is/);
  await etcd.close();
});

test("etcd that wants a password -> served with it; refused at once with a wrong one or none", async () => {
  const data = scratch();
  const token = "0123456789abcdef";
  const etcd = TestPlatform.launch(data, ["--auth.token", token], ["serve", "etcd"]);
  await etcd.ready();
  const address = etcd.endpoints.etcd!;
  const login = ["--etcd.user", "root", "--etcd.password", token];
  const broker = await TestBrokerProcess.started({ etcd: address, flags: login });
  await broker.says(200, /^ok\n$/);
  await broker.stop();
  for (const wrong of [["--etcd.user", "root", "--etcd.password", "wrong"], []]) {
    const refused = await TestBrokerProcess.at({ etcd: address, flags: wrong });
    refused.launch();
    assert.equal((await refused.ended()).code, 1);
    assert.match(refused.life.stderr, /etcd at http:\S+: .*: set etcd\.user and etcd\.password to a user/);
    assert.doesNotMatch(refused.life.stderr, /wrong"/);
  }
  const short = await TestBrokerProcess.at({ etcd: address, flags: [...login, "--broker.id", "b1"] });
  short.launch();
  assert.equal((await short.ended()).code, 2);
  assert.match(short.life.stderr, /--broker\.id: "b1" has 2 characters \(expected 4 to 128\)/);
  assert.equal(existsSync(join(short.data, "member.json")), false, "nothing was opened");
  await etcd.stop();
});

test("settings that contradict each other -> refused at once, naming them", async () => {
  const cases: readonly (readonly [flags: readonly string[], component: string, says: RegExp])[] = [
    [["--etcd.address", "http://127.0.0.1:1"], "etcd", /component etcd serves a store of its own process/],
    [["--etcd.address", "127.0.0.1:2379"], "broker", /"127\.0\.0\.1:2379" is not http:\/\/HOST:PORT/],
    [
      ["--etcd.address", "http://127.0.0.1:1", "--etcd.password", "x"],
      "broker",
      /etcd\.password is given without/,
    ],
    [
      ["--etcd.address", "https://127.0.0.1:1", "--etcd.trusted-ca-file", "/nowhere"],
      "broker",
      /cannot read \/nowhere/,
    ],
  ];
  for (const [flags, component, says] of cases) {
    const life = TestPlatform.launch(scratch(), flags, ["serve", component]);
    assert.notEqual((await life.ended(STOP_MS)).code, 0);
    assert.match(life.stderr, says);
  }
});

test("told to stop while it waits for etcd -> ends at once, with 0", async () => {
  const broker = await TestBrokerProcess.at({ etcd: "http://127.0.0.1:1" });
  broker.launch();
  await broker.says(503, /etcd has not answered yet/);
  await broker.stop();
});

test("the whole platform on an etcd -> rows arrive, before and after a kill; not for other brokers", async () => {
  const etcd = await testEtcd("ours");
  await etcd.run();
  const flags = ["--etcd.address", etcd.address];
  const data = scratch();
  let platform = await TestPlatform.start(data, flags);
  const url = await createStream(platform.endpoints, "ledger", [pathColumn("record")]);
  for (const record of ["one", "two"]) {
    assert.equal((await post(atDoor(platform.endpoints, url), { record })).status, 200);
    await platform.killGroup();
    platform = await TestPlatform.start(data, flags);
  }
  await waitForRows(platform.endpoints, "main.ledger", 2);
  await platform.stop();
  const others = await TestPlatform.refused(scratch(), [...flags, "--etcd.prefix", "/other"]);
  assert.match(others, /the sources of this etcd belong to the brokers of --etcd\.prefix \/gazette\/cluster/);
  await etcd.close();
});
