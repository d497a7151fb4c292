// Whom brokers trust, as real processes: TLS in both directions between them and to etcd, certificates that are
// replaced under them, tokens that they sign for each other, and what is seen of keys, clocks and etcds that do not
// fit.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { WireError } from "@millrace/base";
import { AuthKeys, type GrpcTransport } from "@millrace/client";
import { EtcdProcess, TcpProxy } from "@millrace/metadata/testkit";
import { ANY_LABELS, CAPABILITY } from "@millrace/protocol";
import { FRAGMENT_STORE } from "./journal-templates.ts";
import { clientOf, InstalledCertificates, noOpenssl, TestAuthority } from "./test-certificates.ts";
import { ClusterLoad } from "./test-cluster-load.ts";
import {
  etcdClient,
  keysBelow,
  missingEtcd,
  releaseCluster,
  soundDirectory,
  testEtcd,
  TestBrokerProcess,
} from "./test-cluster.ts";
import { scratch, until } from "./test-platform.ts";

const BROKERS = 3;
const KEY = "c2VjcmV0LW9mLXRoZS1jbHVzdGVy";
const OTHER_KEY = "c29tZWJvZHktZWxzZQ==";
const HOUR_MS = 3_600_000;

after(releaseCluster);

/** Whether a call is served, or what is said instead. */
async function outcome(transport: GrpcTransport): Promise<string> {
  try {
    await transport.list({ selector: ANY_LABELS, watch: false }, AbortSignal.timeout(10_000));
    return "served";
  } catch (error) {
    return error instanceof WireError ? `${error.code}: ${error.message}` : String(error);
  }
}

async function outcomeOf(transport: GrpcTransport): Promise<string> {
  const said = await outcome(transport);
  await transport.close();
  return said;
}

test(
  "mutual TLS between brokers and to etcd, all certificates replaced under them -> nothing fails, the old are refused",
  { skip: noOpenssl || missingEtcd("etcd's own"), timeout: 300_000 },
  async () => {
    const old = new TestAuthority("old");
    const next = new TestAuthority("next");
    const forEtcd = old.issue("etcd");
    const etcd = await EtcdProcess.start({
      scheme: "https",
      args: [
        ...["--cert-file", forEtcd.cert, "--key-file", forEtcd.key],
        ...["--client-cert-auth", "--trusted-ca-file", old.ca],
      ],
    });
    const files = Array.from({ length: BROKERS }, () => new InstalledCertificates());
    const fileRoot = scratch();
    const keys = AuthKeys.parse(KEY);
    const brokers: TestBrokerProcess[] = [];
    for (const [i, { cert, key, ca }] of files.entries()) {
      files[i]!.install(old.issue(`broker-${i}`));
      files[i]!.trust(old);
      const toEtcd = old.issue(`etcd-client-${i}`);
      const flags = [
        ...["--broker.server-cert-file", cert, "--broker.server-cert-key-file", key],
        ...["--broker.server-ca-file", ca, "--broker.auth-keys", KEY],
        ...["--broker.peer-cert-file", cert, "--broker.peer-cert-key-file", key, "--broker.peer-ca-file", ca],
        ...["--etcd.cert-file", toEtcd.cert, "--etcd.cert-key-file", toEtcd.key],
        ...["--etcd.trusted-ca-file", old.ca],
      ];
      const place = { etcd: etcd.address, fileRoot, flags, scheme: "https" } as const;
      brokers.push(await TestBrokerProcess.started(place));
    }
    const first = brokers[0]!;
    const oldPair = old.issue("client");
    const transport = first.transport({ tls: clientOf(oldPair, old), keys });
    const load = await ClusterLoad.start(transport, {
      prefix: "tls",
      journals: 3,
      replication: BROKERS,
      store: FRAGMENT_STORE,
    });
    await load.goesOn(5);
    assert.equal(await outcomeOf(first.transport({ tls: clientOf(oldPair, old), keys })), "served");
    const strangers: readonly (readonly [Parameters<typeof first.transport>[0], RegExp])[] = [
      [{ tls: clientOf(undefined, old), keys }, /^UNAVAILABLE/],
      [{ tls: clientOf(next.issue("stranger"), old), keys }, /^UNAVAILABLE/],
      [{ tls: clientOf(oldPair, old) }, /^UNAUTHENTICATED: missing or empty Authorization token/],
    ];
    for (const [options, says] of strangers) assert.match(await outcomeOf(first.transport(options)), says);

    // As one does it: the new authority is trusted everywhere, then shown, then the old one is not trusted any more.
    const nextPair = next.issue("client");
    const served = async (
      pair: typeof nextPair,
      authority: TestAuthority,
      at = brokers,
    ): Promise<boolean> => {
      const all = at.map((broker) => outcomeOf(broker.transport({ tls: clientOf(pair, authority), keys })));
      return (await Promise.all(all)).every((said) => said === "served");
    };
    for (const each of files) each.trust(old, next);
    await until("the new authority is trusted", 60_000, () => served(nextPair, old), 500);
    for (const [i, each] of files.entries()) each.install(next.issue(`next-${i}`));
    await until("the new certificates are shown", 60_000, () => served(nextPair, next), 500);
    for (const each of files) each.trust(next);
    await until(
      "the old authority is trusted no more",
      60_000,
      async () =>
        (await outcomeOf(first.transport({ tls: clientOf(oldPair, next), keys }))).startsWith("UNAVAILABLE"),
      500,
    );
    await load.goesOn(5);
    // Connections to it are new ones, and its own are.
    await brokers[2]!.kill();
    await brokers[2]!.start();
    await load.goesOn(5);
    await load.pause();
    const reader = { tls: clientOf(nextPair, next), keys };
    await load.checkEach(brokers.map((broker) => broker.transport(reader)));
    await transport.close();
    for (const broker of brokers) await broker.stop();
    for (const broker of brokers) await soundDirectory(broker, fileRoot);
    await etcd.close();
  },
);

interface Life {
  readonly flags: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const GOOD: Life = { flags: ["--broker.auth-keys", KEY] };

/** Three brokers, the last one `odd`, and journals that need all of them; then it is started again as it should be. */
async function withOddBroker(
  odd: Life,
  run: (brokers: readonly TestBrokerProcess[], load: ClusterLoad) => Promise<void>,
): Promise<void> {
  const etcd = await testEtcd("ours");
  await etcd.run();
  const fileRoot = scratch();
  const brokers: TestBrokerProcess[] = [];
  for (const { flags, env } of [GOOD, GOOD, odd]) {
    const broker = await TestBrokerProcess.at({ etcd: etcd.address, fileRoot });
    await broker.start(flags, env);
    brokers.push(broker);
  }
  const transport = brokers[0]!.transport({ keys: AuthKeys.parse(KEY) });
  const options = { prefix: "odd", journals: 3, replication: BROKERS, store: FRAGMENT_STORE };
  const load = await ClusterLoad.start(transport, options);
  await run(brokers, load);
  assert.equal(load.acknowledged, 0, "no append is acknowledged that one replica did not take");
  await brokers[2]!.stop();
  await brokers[2]!.start(GOOD.flags);
  await load.goesOn(5);
  await load.pause();
  await load.check(transport);
  assert.equal(load.failures.get("UNAUTHENTICATED"), undefined, "the client's own token was always good");
  await transport.close();
  for (const broker of brokers) await broker.stop();
  for (const broker of brokers) await soundDirectory(broker, fileRoot);
  await etcd.close();
}

/** Waits until a log says why one of them cannot use another one. */
async function warns(brokers: readonly TestBrokerProcess[], why: RegExp): Promise<void> {
  const said = (): readonly unknown[] =>
    brokers
      .flatMap(({ life }) => life.logLines())
      .filter(({ event }) => event === "journal-pulse-failed")
      .map(({ error }) => error);
  await until(
    () => `it says ${why}: ${said().join("; ")}`,
    60_000,
    () => said().some((error) => why.test(String(error))),
  );
}

test("a broker with other keys -> nothing is acknowledged, and why is said; with the keys all goes on", async () => {
  await withOddBroker({ flags: ["--broker.auth-keys", OTHER_KEY] }, async (brokers, load) => {
    const invalid = /broker-[0-9a-f]{8}: verifying Authorization: token signature is invalid/;
    await until(
      () => `writers are told: ${load.describe()}`,
      60_000,
      () => invalid.test(load.describe()),
    );
    await warns(brokers, invalid);
  });
});

test("a broker whose clock is two hours late -> nothing is acknowledged, its log and others' say why", async () => {
  const late = `const now = Date.now; Date.now = () => now() - ${2 * HOUR_MS};`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(late)}` };
  await withOddBroker({ ...GOOD, env }, async (brokers, load) => {
    const invalid =
      /broker-[0-9a-f]{8}: verifying Authorization: token has invalid claims: token (?:is|used)/;
    await until(
      () => `writers are told: ${load.describe()}`,
      60_000,
      () => invalid.test(load.describe()),
    );
    await warns(brokers, invalid);
  });
});

test("a client's token: expired, too early, of other keys, without the capability -> refused", async () => {
  const etcd = await testEtcd("ours");
  await etcd.run();
  const broker = await TestBrokerProcess.at({ etcd: etcd.address });
  await broker.start(GOOD.flags);
  const sign = (key: string, capabilities: number, beganMs: number): string =>
    AuthKeys.parse(key)
      .sign({ capabilities, selector: ANY_LABELS }, HOUR_MS, Date.now() - beganMs)
      .slice("Bearer ".length);
  const cases: readonly (readonly [token: string, says: RegExp])[] = [
    [sign(KEY, CAPABILITY.LIST, 0), /^served$/],
    [sign(KEY, CAPABILITY.LIST, 2 * HOUR_MS), /^UNAUTHENTICATED: .*token is expired$/],
    [sign(KEY, CAPABILITY.LIST, -HOUR_MS), /^UNAUTHENTICATED: .*token used before issued$/],
    [sign(OTHER_KEY, CAPABILITY.LIST, 0), /^UNAUTHENTICATED: .*signature is invalid$/],
    [sign(KEY, CAPABILITY.READ, 0), /^UNAUTHENTICATED: authorization is missing required LIST capability/],
  ];
  for (const [token, says] of cases) assert.match(await outcomeOf(broker.transport({ token })), says);
  await broker.stop();
  await etcd.close();
});

test("another etcd at the address, same prefix -> the broker ends, and writes nothing there", async () => {
  const [own, other] = [await testEtcd("ours"), await testEtcd("ours")];
  await Promise.all([own.run(), other.run()]);
  const proxy = await TcpProxy.to(own.port);
  const broker = await TestBrokerProcess.started({
    etcd: `http://127.0.0.1:${proxy.port}`,
    flags: ["--etcd.lease", "3s"],
  });
  const transport = broker.transport();
  const load = await ClusterLoad.start(transport, { prefix: "two", journals: 1, replication: 1 });
  await load.goesOn();
  await load.pause();
  const before = broker.member();
  proxy.leadTo(other.port);
  assert.equal((await broker.ended()).code, 1);
  broker.launch();
  assert.equal((await broker.ended()).code, 1);
  assert.match(broker.life.stderr, /holds journals of etcd cluster [0-9a-f]+, prefix/);
  assert.equal(broker.member()["cluster"], before["cluster"]);
  const stranger = await etcdClient(other);
  assert.deepEqual(await keysBelow(stranger, "/gazette/cluster/"), [], "it has written nothing there");
  await stranger.close();
  proxy.leadTo(own.port);
  await broker.start();
  await load.check(transport);
  await transport.close();
  await broker.stop();
  await proxy.close();
  await Promise.all([own.close(), other.close()]);
});
