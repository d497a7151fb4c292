// A real etcd that is cut off, frozen, restarted, compacted behind one's back, wants passwords and certificates.
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { ClientTls } from "@millrace/grpc";
import { never, silentLogger, systemClock, systemRandom, utf8, WireError, type Code } from "@millrace/base";
import { builder } from "@millrace/protobuf";
import type { StoreOp, TxnResponse } from "./coordination.ts";
import * as auth from "./etcd-api/auth.ts";
import { callOnce, type RpcChannel } from "./etcd-channel.ts";
import { dialEtcd } from "./etcd-dial.ts";
import { ETCD_DEFAULTS, type EtcdSettings } from "./etcd-options.ts";
import { EtcdProcess, etcdProgram } from "./etcd-process-testkit.ts";
import { openEtcdStore, type EtcdStore } from "./etcd-store.ts";
import { prefixRange } from "./key.ts";
import { TcpProxy } from "./tcp-proxy-testkit.ts";

const options = { skip: etcdProgram.missing, timeout: 60_000 } as const;
const QUICK = { requestTimeoutMs: 1500, attemptTimeoutMs: 500, syncMs: 0, progressMs: 200 } as const;
const dial = dialEtcd({ clock: systemClock, logger: silentLogger });
let etcd: EtcdProcess;

before(async () => {
  if (etcdProgram.missing === false) etcd = await EtcdProcess.start();
});
after(async () => {
  if (etcdProgram.missing === false) await etcd.close();
});

function open(settings: Partial<EtcdSettings>, connect: (address: string) => RpcChannel = dial) {
  const ports = { clock: systemClock, random: systemRandom, logger: silentLogger, connect };
  return openEtcdStore({ ...ETCD_DEFAULTS, ...QUICK, ...settings }, ports, AbortSignal.timeout(20_000));
}

/** A store through a proxy of its own, and one beside it. */
async function world(run: (w: { store: EtcdStore; direct: EtcdStore; proxy: TcpProxy }) => Promise<void>) {
  const proxy = await TcpProxy.to(etcd.port);
  // The members' own address would lead around the proxy.
  const store = await open({ endpoints: [`http://127.0.0.1:${proxy.port}`] }, (address) =>
    dial(`http://127.0.0.1:${address.endsWith(`:${etcd.port}`) ? proxy.port : address.split(":").at(-1)}`),
  );
  const direct = await open({ endpoints: [etcd.address] });
  try {
    await run({ store, direct, proxy });
  } finally {
    await store.close();
    await direct.close();
    await proxy.close();
  }
}

function put(store: EtcdStore, key: string, value = "1"): Promise<TxnResponse> {
  const op: StoreOp = { kind: "put", key, value: utf8(value) };
  return store.txn({ compare: [], success: [op] }, never);
}

async function refused(work: Promise<unknown>, code: Code): Promise<WireError> {
  let found: unknown;
  await rejects(work, (error: unknown) => {
    found = error;
    return error instanceof WireError && error.code === code ? true : fail(error);
  });
  return found as WireError;
}

function fail(error: unknown): never {
  throw error;
}

/** Follows `prefix` from `fromRevision` on; `keys` holds what it has seen, `until` waits for that many. */
function follow(store: EtcdStore, prefix: string, fromRevision: number) {
  const stop = new AbortController();
  const keys: string[] = [];
  let wake = (): void => {};
  const ended = (async () => {
    for await (const { events } of store.watch({ ...prefixRange(prefix), fromRevision }, stop.signal)) {
      for (const { kv } of events) keys.push(kv.key.slice(prefix.length));
      wake();
    }
  })();
  ended.catch(() => wake());
  return {
    keys,
    ended,
    until: async (count: number) => {
      while (keys.length < count) await new Promise<void>((resolve) => (wake = resolve));
    },
    close: () => {
      stop.abort();
      return ended;
    },
  };
}

test("etcd: the answer to a transaction is lost -> OUTCOME_UNKNOWN, and it has happened", options, () =>
  world(async ({ store, direct, proxy }) => {
    proxy.swallowAnswers();
    const unknown = refused(put(store, "lost-answer"), "OUTCOME_UNKNOWN");
    while ((await direct.range({ key: "lost-answer" }, never)).count === 0);
    proxy.forward();
    proxy.cut();
    await unknown;
    equal((await store.range({ key: "lost-answer" }, never)).count, 1);
  }),
);

test("etcd: no connection for a transaction -> tried again until there is one, and done once", options, () =>
  world(async ({ store, proxy }) => {
    proxy.refuse();
    await refused(store.range({ key: "late" }, never), "UNAVAILABLE");
    const putting = put(store, "late");
    await systemClock.sleep(300, never);
    proxy.forward();
    const { header } = await putting;
    const { kvs } = await store.range({ key: "late" }, never);
    deepEqual([kvs[0]?.version, kvs[0]?.modRevision], [1, header.revision]);
  }),
);

test("etcd: nobody listens -> UNAVAILABLE in its time; then it goes on", options, () =>
  world(async ({ store, proxy }) => {
    proxy.refuse();
    await refused(store.range({ key: "away" }, never), "UNAVAILABLE");
    await refused(store.grantLease(10, never), "UNAVAILABLE");
    await refused(store.keepAlive(1n, never), "UNAVAILABLE");
    const error = await put(store, "away").then(
      () => undefined,
      (thrown: unknown) => WireError.from(thrown),
    );
    match(error?.code ?? "", /^(UNAVAILABLE|OUTCOME_UNKNOWN)$/);
    const stop = AbortSignal.timeout(100);
    await rejects(store.range({ key: "away" }, stop), (thrown) => thrown === stop.reason);
    proxy.forward();
    await put(store, "back");
  }),
);

test(
  "etcd: frozen -> requests end in their time, the watch goes on afterwards and misses nothing",
  options,
  () =>
    world(async ({ store, direct }) => {
      const { header } = await put(direct, "frozen/0");
      const lease = await store.grantLease(60, never);
      const watch = follow(store, "frozen/", header.revision);
      await watch.until(1);
      await etcd.freeze();
      try {
        const reads = refused(store.range({ key: "frozen/0" }, never), "UNAVAILABLE");
        const renewal = refused(store.keepAlive(lease, never), "UNAVAILABLE");
        const writes = refused(put(store, "frozen/maybe"), "OUTCOME_UNKNOWN");
        await Promise.all([reads, renewal, writes]);
      } finally {
        etcd.thaw();
      }
      await put(direct, "frozen/2");
      equal(await store.keepAlive(lease, never), 60);
      const { count } = await direct.range(prefixRange("frozen/"), never);
      await watch.until(count); // Whether or not what was sent to the frozen etcd has happened.
      deepEqual(
        watch.keys.filter((key) => key !== "maybe"),
        ["0", "2"],
      );
      await watch.close();
    }),
);

test("etcd: killed and started again -> watches and leases go on, every event once", options, () =>
  world(async ({ store, direct }) => {
    const { header } = await put(direct, "restart/0");
    const lease = await store.grantLease(60, never);
    equal(await store.keepAlive(lease, never), 60);
    const watch = follow(store, "restart/", header.revision);
    await watch.until(1);
    for (const at of [1, 2]) {
      await etcd.kill();
      etcd.run();
      await untilAnswered(() => put(direct, `restart/${at}`));
      equal(await untilAnswered(() => store.keepAlive(lease, never)), 60);
    }
    await watch.until(3);
    deepEqual(new Set(watch.keys), new Set(["0", "1", "2"]));
    await watch.close();
  }),
);

async function untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (thrown) {
      const { code } = WireError.from(thrown);
      ok(code === "UNAVAILABLE" || code === "OUTCOME_UNKNOWN", code);
    }
  }
}

test("etcd: compacted while a watch is cut off -> COMPACTED", options, () =>
  world(async ({ store, direct, proxy }) => {
    const { header } = await put(direct, "compacted/0");
    const watch = follow(store, "compacted/", header.revision);
    await watch.until(1);
    proxy.refuse();
    for (let i = 0; i < 5; i++) await put(direct, "compacted/0", String(i));
    const last = await put(direct, "compacted/0", "last");
    await direct.compact(last.header.revision, never);
    proxy.forward();
    await refused(watch.ended, "COMPACTED");
    deepEqual(watch.keys, ["0"]);
  }),
);

test("etcd: a history larger than any message -> whole revisions, in order", options, () =>
  world(async ({ direct, store }) => {
    const first = (await put(direct, "large/begin")).header.revision;
    const value = new Uint8Array(400 * 1024).fill(7);
    for (let i = 0; i < 12; i++) {
      const success = ["a", "b", "c"].map((name): StoreOp => ({ kind: "put", key: `large/${name}`, value }));
      await direct.txn({ compare: [], success }, never);
    }
    const stop = new AbortController();
    const revisions: number[] = [];
    for await (const { events, header } of store.watch(
      { ...prefixRange("large/"), fromRevision: first + 1 },
      stop.signal,
    )) {
      equal(events.length % 3, 0, "a revision is whole");
      equal(header.revision, events.at(-1)!.kv.modRevision);
      for (const { kv } of events) revisions.push(kv.modRevision - first);
      if (revisions.length >= 36) stop.abort();
    }
    deepEqual(
      revisions,
      Array.from({ length: 36 }, (_, i) => 1 + Math.floor(i / 3)),
    );
  }),
);

test(
  "etcd: the first endpoint is dead -> the next; members that are advertised -> used",
  options,
  async () => {
    const proxy = await TcpProxy.to(etcd.port);
    const through = `http://127.0.0.1:${proxy.port}`;
    const dead = await TcpProxy.to(1);
    dead.refuse();
    const store = await open({ endpoints: [`http://127.0.0.1:${dead.port}`, through] });
    try {
      deepEqual(store.endpoints, [`http://127.0.0.1:${dead.port}`, through, etcd.address]);
      const { header } = await put(store, "members/0");
      const watch = follow(store, "members/", header.revision);
      await watch.until(1);
      proxy.refuse();
      await untilAnswered(() => put(store, "members/1"));
      await watch.until(2);
      await watch.close();
    } finally {
      await store.close();
      await dead.close();
      await proxy.close();
    }
  },
);

/** Calls as an operator does: etcd's user and role administration, for which the store has no use. */
async function administer(process: EtcdProcess, token = "") {
  const channel = dial(process.address);
  const metadata = new Map(token === "" ? [] : [["token", token]]);
  const rpc = { metadata, timeoutMs: 10_000 };
  const { AUTH } = auth;
  const done = async <Q, R>(method: Parameters<typeof callOnce<Q, R>>[1], request: Q): Promise<R> => {
    const outcome = await callOnce(channel, method, request, rpc, never);
    if (outcome.kind !== "answer") throw new Error(JSON.stringify(outcome));
    return outcome.response;
  };
  const newUser = builder(auth.authUserAddRequest);
  for (const [name, password] of [
    ["root", "secret"],
    ["reader", "word"],
  ] as const) {
    await done(AUTH.userAdd, newUser({ name, password }));
  }
  await done(AUTH.roleAdd, { name: "root" });
  await done(AUTH.userGrantRole, { user: "root", role: "root" });
  await done(AUTH.roleAdd, { name: "reading" });
  const perm = { permType: "READWRITE", key: "allowed/", rangeEnd: "allowed0" } as const;
  await done(AUTH.roleGrantPermission, { name: "reading", perm });
  await done(AUTH.userGrantRole, { user: "reader", role: "reading" });
  await done(AUTH.authEnable, {});
  await channel.close(never);
}

const DENIED = "etcdserver: permission denied (key denied)";

test("etcd with users: passwords, permissions, tokens that a restart forgets", options, async () => {
  const guarded = await EtcdProcess.start();
  const endpoints = [guarded.address];
  const patient = { requestTimeoutMs: 10_000, attemptTimeoutMs: 3000 }; // Passwords are hashed slowly on purpose.
  const root = { ...patient, endpoints, user: "root", password: "secret" };
  try {
    const before = await open(root); // Authentication is still off: the password is not wanted.
    await put(before, "allowed/0");
    await administer(guarded);
    await put(before, "allowed/1"); // And now it is.
    const { header } = await before.range({ key: "allowed/1" }, never);
    await before.close();

    await refused(
      open({ ...root, password: "wrong" }).then((store) => put(store, "a")),
      "UNAUTHENTICATED",
    );
    const anonymous = await open({ endpoints });
    await refused(put(anonymous, "allowed/2"), "UNAUTHENTICATED");
    await refused(follow(anonymous, "allowed/", 1).ended, "UNAUTHENTICATED");
    await anonymous.close();

    const reader = await open({ ...root, user: "reader", password: "word" });
    await put(reader, "allowed/2");
    await rejects(put(reader, "denied"), { code: "FORBIDDEN", message: DENIED });
    await rejects(reader.range({ key: "denied" }, never), { code: "FORBIDDEN", message: DENIED });
    await refused(follow(reader, "denied", 1).ended, "FORBIDDEN");
    const watch = follow(reader, "allowed/", header.revision);
    await watch.until(2);
    const lease = await reader.grantLease(60, never);

    await guarded.kill();
    guarded.run(); // Its simple tokens are gone.
    await untilAnswered(() => reader.range({ key: "allowed/2" }, never));
    equal(await untilAnswered(() => reader.keepAlive(lease, never)), 60);
    await untilAnswered(() => put(reader, "allowed/3"));
    await watch.until(3);
    deepEqual(new Set(watch.keys), new Set(["1", "2", "3"]));
    await watch.close();
    await reader.close();
  } finally {
    await guarded.close();
  }
});

/** Certificates of a CA of our own: a server's for 127.0.0.1, and a client's. */
function certificates(folder: string) {
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2");
  for (const name of ["server", "client"]) {
    openssl("req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    writeFileSync(
      join(folder, "ext"),
      "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n",
    );
    const ca = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext", "-days", "2"];
    openssl("x509", "-req", "-in", `${name}.csr`, "-out", `${name}.pem`, ...ca);
  }
  return (name: string): string => readFileSync(join(folder, name), "utf8");
}

test("etcd with TLS: its CA and a client's certificate are wanted", options, async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-etcd-tls-"));
  const file = certificates(folder);
  const path = (name: string): string => join(folder, name);
  const secured = await EtcdProcess.start({
    scheme: "https",
    args: [
      ...["--cert-file", path("server.pem"), "--key-file", path("server.key")],
      ...["--client-cert-auth", "--trusted-ca-file", path("ca.pem")],
    ],
  });
  const secureDial = (tls: ClientTls) =>
    dialEtcd({ clock: systemClock, logger: silentLogger, tls: () => tls });
  const endpoints = [secured.address];
  const ca = file("ca.pem");
  const whole = { ca, cert: file("client.pem"), key: file("client.key") };
  try {
    const store = await open({ endpoints }, secureDial(whole));
    await put(store, "secret");
    equal((await store.range({ key: "secret" }, never)).count, 1);
    await store.close();
    for (const lacking of [{}, { ca }]) {
      const ports = {
        clock: systemClock,
        random: systemRandom,
        logger: silentLogger,
        connect: secureDial(lacking),
      };
      const settings = { ...ETCD_DEFAULTS, ...QUICK, endpoints };
      await rejects(openEtcdStore(settings, ports, AbortSignal.timeout(1000)), { name: "TimeoutError" });
    }
  } finally {
    await secured.close();
    rmSync(folder, { recursive: true });
  }
});
