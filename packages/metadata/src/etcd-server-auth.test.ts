// Users of the etcd server: who may do what, before and after authentication is asked for, and over restarts.
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { never, silentLogger } from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { changeAuth, NO_AUTH, type AuthChange } from "./auth-state.ts";
import { AUTH } from "./etcd-api/auth.ts";
import { MAINTENANCE } from "./etcd-api/cluster.ts";
import { KV } from "./etcd-api/kv.ts";
import { LEASE } from "./etcd-api/lease.ts";
import { WATCH, watchCreateRequest } from "./etcd-api/watch.ts";
import { openEmbeddedStore } from "./embedded-store.ts";
import { CallFailure, openStubServer, StubClient, type StubServer } from "./etcd-server-stub.ts";
import { MemoryJournal } from "./journal.ts";
import { USERS_MAX } from "./limits.ts";

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    ok(error instanceof CallFailure, String(error));
    return `${error.code} ${error.message.replace("etcdserver: ", "")}`;
  }
  return "OK";
}

const EMPTY = "INVALID_ARGUMENT user name is empty";
const FAILED = "INVALID_ARGUMENT authentication failed, invalid user ID or password";
const INVALID = "UNAUTHENTICATED invalid auth token";
const DENIED = "PERMISSION_DENIED permission denied";

async function enabled(): Promise<StubServer & { readonly client: StubClient }> {
  const server = await openStubServer();
  const client = new StubClient(server.handlers);
  await client.call(AUTH.userAdd, { name: "root", password: "secret" });
  await client.call(AUTH.userAdd, { name: "bob", password: "b" });
  await client.call(AUTH.userGrantRole, { user: "root", role: "root" });
  await client.call(AUTH.authEnable);
  return { ...server, client };
}

async function login(server: StubServer, name: string, password: string): Promise<StubClient> {
  const { token } = await new StubClient(server.handlers).call(AUTH.authenticate, { name, password });
  return new StubClient(server.handlers, { token });
}

test("enabled: only the token of a user with the role root opens the calls, every one of them", async () => {
  const server = await enabled();
  const asks = (client: StubClient) => [
    client.call(KV.range, { key: "a" }),
    client.call(KV.put, { key: "a" }),
    client.call(LEASE.leaseGrant, { ttl: 10 }),
    client.call(MAINTENANCE.status),
    client.call(AUTH.userList),
    client.call(AUTH.authDisable),
  ];
  for (const work of asks(server.client)) equal(await failure(work), EMPTY);
  for (const work of asks(new StubClient(server.handlers, { token: "1234" })))
    equal(await failure(work), INVALID);
  for (const work of asks(await login(server, "bob", "b"))) equal(await failure(work), DENIED);
  equal(server.client.stream(WATCH.watch).call.status?.code, "INVALID_ARGUMENT");
  equal(server.client.stream(LEASE.leaseKeepAlive).call.status?.code, "INVALID_ARGUMENT");
  const root = await login(server, "root", "secret");
  equal(await failure(root.call(KV.put, { key: "a" })), "OK");
  deepEqual((await root.call(AUTH.userList)).users, ["bob", "root"]);
  deepEqual((await root.call(AUTH.userGet, { name: "root" })).roles, ["root"]);
  equal((await root.call(AUTH.authStatus)).enabled, true);
});

test("authenticate: wrong password, unknown user, user without a password, not enabled -> refused alike", async () => {
  const server = await enabled();
  const root = await login(server, "root", "secret");
  await root.call(AUTH.userAdd, { name: "locked", options: { noPassword: true } });
  for (const [name, password] of [
    ["root", "wrong"],
    ["eve", "x"],
    ["locked", ""],
    ["", ""],
  ] as const) {
    equal(await failure(login(server, name, password)), FAILED);
  }
  await root.call(AUTH.authDisable);
  const off = "FAILED_PRECONDITION authentication is not enabled";
  equal(await failure(login(server, "root", "secret")), off);
  equal(await failure(server.client.call(KV.range, { key: "a" })), "OK");
});

test("tokens: end with the password, the user, and after five minutes without use", async () => {
  const server = await enabled();
  const root = await login(server, "root", "secret");
  const read = (client: StubClient) => failure(client.call(KV.range, { key: "a" }));
  await server.agenda.advance(200_000);
  equal(await read(root), "OK");
  await server.agenda.advance(200_000);
  equal(await read(root), "OK");
  await server.agenda.advance(300_000);
  equal(await read(root), INVALID);
  const one = await login(server, "root", "secret");
  await one.call(AUTH.userChangePassword, { name: "root", password: "other" });
  equal(await read(one), INVALID);
  equal(await failure(login(server, "root", "secret")), FAILED);
  const two = await login(server, "root", "other");
  const bob = await login(server, "bob", "b");
  await two.call(AUTH.userGrantRole, { user: "bob", role: "root" });
  equal(await read(bob), "OK");
  await two.call(AUTH.userDelete, { name: "bob" });
  equal(await read(bob), INVALID);
});

test("watch: a creation after the token has ended -> refused on its own", async () => {
  const server = await enabled();
  const root = await login(server, "root", "secret");
  const stream = root.stream(WATCH.watch);
  stream.send({ createRequest: { ...watchCreateRequest.zero, key: "a" } });
  await server.agenda.advance(400_000);
  stream.send({ createRequest: { ...watchCreateRequest.zero, key: "a" } });
  deepEqual(
    (await stream.answers()).map(({ watchId, cancelReason }) => [watchId, cancelReason]),
    [
      [0, ""],
      [-1, "etcdserver: invalid auth token"],
    ],
  );
});

test("token of the process: asked for at once; opens everything, as a token and as root's password", async () => {
  const server = await openStubServer("0123456789abcdef");
  const open = new StubClient(server.handlers);
  equal(await failure(open.call(KV.range, { key: "a" })), EMPTY);
  equal(await failure(login(server, "root", "wrong")), FAILED);
  equal(await failure(login(server, "bob", "0123456789abcdef")), FAILED);
  for (const client of [
    new StubClient(server.handlers, { authorization: "Bearer 0123456789abcdef" }),
    new StubClient(server.handlers, { token: "0123456789abcdef" }),
    await login(server, "root", "0123456789abcdef"),
  ]) {
    equal(await failure(client.call(KV.put, { key: "a" })), "OK");
  }
});

test("hashing: no more passwords at a time than the bound -> the next is refused, the others go on", async () => {
  const server = await enabled();
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, () => failure(login(server, "root", "wrong"))),
  );
  ok(outcomes.includes("RESOURCE_EXHAUSTED too many requests"), outcomes.join());
  ok(outcomes.includes(FAILED), outcomes.join());
  equal(await failure(login(server, "root", "secret")), "OK");
});

test("users: each refusal of etcd's", () => {
  const after = (...changes: AuthChange[]): string => {
    try {
      let state = NO_AUTH;
      for (const change of changes) state = changeAuth(state, change);
      return "OK";
    } catch (error) {
      return (error as Error).message.replace("etcdserver: ", "");
    }
  };
  const add = (name: string): AuthChange => ({ kind: "user-add", name, password: undefined });
  const grant: AuthChange = { kind: "role-grant", name: "root", role: "root" };
  const revoke: AuthChange = { kind: "role-revoke", name: "root", role: "root" };
  const enable: AuthChange = { kind: "enable" };
  const cases: readonly (readonly [string, ...AuthChange[]])[] = [
    ["root user does not exist", enable],
    ["root user does not have root role", add("root"), enable],
    ["OK", add("root"), grant, grant, enable, enable, { kind: "disable" }, { kind: "disable" }],
    ["user name is empty", add("")],
    ["user name already exists", add("a"), add("a")],
    ["user name not found", { kind: "user-delete", name: "a" }],
    ["user name not found", { kind: "role-grant", name: "a", role: "root" }],
    ["role name not found", add("a"), { kind: "role-grant", name: "a", role: "reader" }],
    ["role is not granted to the user", add("root"), revoke],
    ["role is not granted to the user", add("root"), grant, revoke, revoke],
    ["invalid auth management", add("root"), grant, enable, revoke],
    ["invalid auth management", add("root"), grant, enable, { kind: "user-delete", name: "root" }],
    ["invalid auth management", add("root"), grant, enable, { kind: "role-delete", role: "root" }],
    ["role name is empty", { kind: "role-add", role: "" }],
    ["role name already exists", { kind: "role-add", role: "root" }, { kind: "role-add", role: "root" }],
    ["role name not found", { kind: "role-delete", role: "root" }],
    ["OK", { kind: "role-add", role: "root" }, { kind: "role-delete", role: "root" }],
  ];
  for (const [expected, ...changes] of cases) equal(after(...changes), expected, JSON.stringify(changes));
  ok(after({ kind: "role-add", role: "reader" }).includes("no roles but root"));
  ok(after(add("a".repeat(300))).includes("user name of 300 > 256"));
  const many = Array.from({ length: USERS_MAX + 1 }, (_, i) => add(`u${i}`));
  ok(after(...many).includes(`at most ${USERS_MAX} users`));
});

test("roles: others and permissions -> UNIMPLEMENTED by name, root's are shown", async () => {
  const server = await openStubServer();
  const client = new StubClient(server.handlers);
  ok((await failure(client.call(AUTH.roleAdd, { name: "reader" }))).startsWith("UNIMPLEMENTED"));
  equal(
    await failure(client.call(AUTH.roleGet, { role: "root" })),
    "FAILED_PRECONDITION role name not found",
  );
  await client.call(AUTH.roleAdd, { name: "root" });
  deepEqual((await client.call(AUTH.roleList)).roles, ["root"]);
  equal((await client.call(AUTH.roleGet, { role: "root" })).perm[0]!.permType, "READWRITE");
  ok((await failure(client.call(AUTH.roleGrantPermission, { name: "root" }))).startsWith("UNIMPLEMENTED"));
});

test("users are durable: over a replay of the log, over a checkpoint, and not when the log refused them", async () => {
  const agenda = new Agenda();
  const journal = new MemoryJournal();
  const clock = new SimulatedClock(agenda);
  const open = () =>
    openEmbeddedStore(journal.recover, { clock, random: seededRandom("users"), logger: silentLogger });
  const change = async (store: Awaited<ReturnType<typeof open>>, name: string): Promise<void> => {
    await store.decide((state) => {
      const auth = changeAuth(state.auth, { kind: "user-add", name, password: undefined });
      return { record: { kind: "auth-changed", auth }, respond: () => undefined };
    }, never);
  };
  const names = (store: Awaited<ReturnType<typeof open>>) => store.auth.users.map(({ name }) => name).join();
  const one = await open();
  await change(one, "a");
  await one.close();
  const two = await open();
  equal(names(two), "a");
  await two.checkpoint();
  await change(two, "b");
  await two.close();
  const three = await open();
  equal(names(three), "a,b");
  journal.onAppend = () =>
    new Promise((_, reject) => setImmediate(() => reject(new CallFailure("UNKNOWN", "x"))));
  await rejects(change(three, "c"));
  await three.close();
  journal.onAppend = undefined;
  equal(names(await open()), "a,b");
});
