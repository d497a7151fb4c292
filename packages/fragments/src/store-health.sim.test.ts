import assert from "node:assert/strict";
import { test } from "node:test";
import { MetricsRegistry, never, silentLogger, TaskGroup, utf8, WireError } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import { objectStores } from "@millrace/stores";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import { StoreHealth, type StoreHealthPorts } from "./store-health.ts";

const URL = "file:///one/";

interface World {
  readonly agenda: Agenda;
  readonly store: MemoryStore;
  readonly health: StoreHealth;
  readonly metrics: MetricsRegistry;
  close(): Promise<void>;
}

function world(fetch?: StoreHealthPorts["fetch"], slowMs = 0): World {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  const random = seededRandom("health");
  const store = memoryStore({ url: URL, clock, random, slowMs });
  if (fetch !== undefined) store.signGet = () => Promise.resolve("https://store/signed");
  const tasks = new TaskGroup("health", (_, error) => {
    throw error;
  });
  const metrics = new MetricsRegistry();
  const ports: StoreHealthPorts = {
    stores: objectStores({ file: () => store }),
    clock,
    random,
    logger: silentLogger,
    metrics,
    fetch: fetch ?? (() => Promise.reject(new Error("not asked for"))),
  };
  return { agenda, store, health: new StoreHealth(ports, tasks), metrics, close: () => tasks.close() };
}

test("healthy: put, get, list, sign; then again after 30 minutes, more or less a fifth", async () => {
  const w = world();
  assert.equal(w.health.problem(URL), "first health check hasn't completed yet");
  await settle();
  assert.equal(w.health.problem(URL), undefined);
  assert.deepEqual(
    w.store.operations.map(({ operation, path }) => `${operation} ${path}`),
    ["put .test/health-check", "get .test/health-check", "list .test/"],
  );
  assert.deepEqual(w.store.peek(".test/health-check"), utf8("health-check\n"));
  await w.agenda.advance(23 * 60_000);
  assert.equal(w.store.operations.length, 3);
  await w.agenda.advance(14 * 60_000);
  assert.equal(w.store.operations.length, 6);
  await w.close();
});

test("what is wrong is said", async () => {
  const cases: [string, (w: World) => void, string][] = [
    ["put", failing("put"), "health check PUT failed: put of .test/health-check: 503 Slow Down"],
    ["get", failing("get"), "health check GET failed: get of .test/health-check: 503 Slow Down"],
    ["list", failing("list"), "health check LIST failed: list of .test/: 503 Slow Down"],
    ["lag", (w) => (w.store.listLagMs = 1), "health check LIST did not find test file"],
    [
      "rot",
      (w) => {
        w.store.put = (path) => Promise.resolve(w.store.set(path, utf8("wrong")));
      },
      'health check content mismatch: got "wrong", want "health-check\\n"',
    ],
    [
      "sign",
      (w) => {
        w.store.signGet = () => Promise.reject(new WireError("FORBIDDEN", "no key"));
      },
      "health check SignGet failed: no key",
    ],
  ];
  for (const [name, spoil, expected] of cases) {
    const w = world();
    spoil(w);
    w.health.problem(URL);
    await settle();
    assert.equal(w.health.problem(URL), expected, name);
    await w.close();
  }
});

function failing(operation: string): (w: World) => void {
  return ({ store }) => {
    store.script = (one) => (one === operation ? "unavailable" : "none");
  };
}

test("signed http URLs are fetched", async () => {
  const cases: [StoreHealthPorts["fetch"], string | undefined][] = [
    [() => Promise.resolve({ status: 200, body: utf8("health-check\n") }), undefined],
    [() => Promise.resolve({ status: 403, body: utf8("") }), "health check fetch returned status 403"],
    [
      () => Promise.resolve({ status: 200, body: utf8("x") }),
      'health check fetch content mismatch: got "x", want "health-check\\n"',
    ],
    [() => Promise.reject(new Error("refused")), "health check fetch failed: refused"],
  ];
  for (const [fetch, expected] of cases) {
    const w = world(fetch);
    w.health.problem(URL);
    await settle();
    assert.equal(w.health.problem(URL), expected);
    await w.close();
  }
});

test("unhealthy: next after 0, 0.1, 1, 1, 10, 10, then 100 s, more or less a fifth; healed at the next", async () => {
  const w = world();
  const at: number[] = [];
  w.store.script = () => {
    at.push(w.agenda.nowMs);
    return "unavailable";
  };
  w.health.problem(URL);
  await w.agenda.advance(330_000);
  const gaps = at.slice(1).map((ms, i) => ms - at[i]!);
  for (const [i, expected] of [0, 100, 1000, 1000, 10_000, 10_000, 100_000, 100_000].entries()) {
    assert.ok(gaps[i]! >= 0.8 * expected && gaps[i]! <= 1.2 * expected, `gap ${i} is ${gaps[i]}`);
  }
  w.store.script = undefined;
  assert.notEqual(w.health.problem(URL), undefined);
  await w.agenda.advance(120_000);
  assert.equal(w.health.problem(URL), undefined);
  await w.close();
});

test("a check that hangs -> failed after a minute", async () => {
  const w = world(undefined, 3_600_000);
  w.store.script = () => "slow";
  w.health.problem(URL);
  await w.agenda.advance(60_000);
  assert.equal(w.health.problem(URL), "health check PUT failed: took more than 60000 ms");
  await w.close();
});

test("settledProblem: waits for the first check, and for some more while it fails", async () => {
  const w = world();
  let puts = 0;
  w.store.script = (operation) => (operation === "put" && puts++ < 4 ? "unavailable" : "none");
  const seen: (string | undefined)[] = [];
  const asked = [2, 4].map((retries) =>
    w.health.settledProblem(URL, retries, never).then((problem) => seen.push(problem)),
  );
  await w.agenda.advance(30_000);
  await Promise.all(asked);
  assert.deepEqual(seen, ["health check PUT failed: put of .test/health-check: 503 Slow Down", undefined]);
  await w.close();
});

test("failing: stores whose last check failed, and their number as a metric; a store that is new is none", async () => {
  const w = world();
  const gauges = () =>
    ["gazette_store_active", "millrace_stores_failing"].map((name) => w.metrics.gauge(name, "").value());
  const checks = (status: string) =>
    w.metrics.counter("gazette_store_health_check_total", "").value({ store: URL, status });
  assert.deepEqual(gauges(), [0, 0]);
  failing("list")(w);
  w.health.problem(URL);
  assert.deepEqual([w.health.failing(), gauges()], [[], [1, 0]]);
  await settle();
  const reason = "health check LIST failed: list of .test/: 503 Slow Down";
  assert.deepEqual([w.health.failing(), gauges()], [[{ url: URL, reason }], [1, 1]]);
  w.store.script = undefined;
  await w.agenda.advance(1000);
  assert.deepEqual([w.health.failing(), gauges()], [[], [1, 0]]);
  assert.ok(checks("error") >= 1);
  assert.equal(checks("ok"), 1);
  w.health.sweep();
  w.health.sweep();
  assert.deepEqual(gauges(), [0, 0]);
  await w.close();
});

test("suspect: a store that worked fails at its use -> checked at once, though not again within 10 s", async () => {
  const w = world();
  w.health.suspect(URL);
  await settle();
  assert.deepEqual([w.health.problem(URL), w.store.operations.length], [undefined, 3]);
  w.health.suspect(URL);
  await settle();
  assert.equal(w.store.operations.length, 3);
  await w.agenda.advance(10_000);
  failing("put")(w);
  w.health.suspect(URL);
  w.health.suspect(URL);
  await settle();
  assert.equal(w.store.operations.length, 4);
  assert.deepEqual(
    w.health.failing().map(({ url }) => url),
    [URL],
  );
  w.store.script = undefined;
  await w.agenda.advance(1000);
  assert.deepEqual(w.health.failing(), []);
  const { length } = w.store.operations;
  await w.agenda.advance(23 * 60_000);
  assert.equal(w.store.operations.length, length, "then as seldom as before");
  await w.close();
});

test("sweep: a store that nobody asked for -> its checks stop; asked again -> they start again", async () => {
  const w = world();
  w.health.problem(URL);
  await w.agenda.advance(2.5 * 3_600_000);
  const count = w.store.operations.length;
  await w.agenda.advance(10 * 3_600_000);
  assert.equal(w.store.operations.length, count);
  assert.equal(w.health.problem(URL), "first health check hasn't completed yet");
  await settle();
  assert.equal(w.health.problem(URL), undefined);
  const waiting = w.health.settledProblem("s3://bucket/", 1000, never);
  w.health.sweep();
  w.health.sweep();
  assert.equal(await waiting, "health checks have stopped");
  await w.close();
});

test("a store that cannot be opened -> says why", async () => {
  const w = world();
  w.health.problem("s3://bucket/");
  await settle();
  assert.equal(w.health.problem("s3://bucket/"), "invalid scheme (s3); supported: file");
  await w.close();
});

test("asked: a store in use -> what its checks say, and a deletion besides if that is asked for", async () => {
  const w = world();
  w.health.problem(URL);
  await settle();
  const operations = () => w.store.operations.splice(0).map(({ operation, path }) => `${operation} ${path}`);
  operations();
  assert.equal(await w.health.askedProblem(URL, undefined, never), undefined);
  assert.deepEqual(operations(), []);
  assert.equal(await w.health.askedProblem(URL, "recovery/", never), undefined);
  assert.deepEqual(operations(), [
    "put recovery/.gazette-delete-probe",
    "remove recovery/.gazette-delete-probe",
  ]);
  failing("remove")(w);
  const removal = "delete-probe DELETE failed: remove of .gazette-delete-probe: 503 Slow Down";
  assert.equal(await w.health.askedProblem(URL, "", never), removal);
  failing("put")(w);
  const put = "delete-probe PUT failed: put of .gazette-delete-probe: 503 Slow Down";
  assert.equal(await w.health.askedProblem(URL, "", never), put);
  await w.close();
});

test("asked: a store that nobody uses -> one check now; nothing stays here, and one object there", async () => {
  const w = world();
  const gauges = () =>
    ["gazette_store_active", "millrace_stores_failing"].map((name) => w.metrics.gauge(name, "").value());
  assert.equal(await w.health.askedProblem(URL, undefined, never), undefined);
  assert.deepEqual(
    w.store.operations.map(({ operation, path }) => `${operation} ${path}`),
    ["put .test/health-check", "get .test/health-check", "list .test/"],
  );
  failing("put")(w);
  const refused = await w.health.askedProblem(URL, undefined, never);
  assert.equal(refused, "health check PUT failed: put of .test/health-check: 503 Slow Down");
  assert.equal(await w.health.askedProblem("s3://b/", "", never), "invalid scheme (s3); supported: file");
  const { length } = w.store.operations;
  await w.agenda.advance(3_600_000);
  assert.deepEqual([w.health.failing(), gauges(), w.store.operations.length], [[], [0, 0], length]);
  await w.close();
});

test("asked: more at a time than may be -> OVERLOADED with the bound, until one has its answer", async () => {
  const w = world(undefined, 3_600_000);
  w.store.script = () => "slow";
  const waiting = Array.from({ length: 16 }, (_, i) =>
    w.health.askedProblem(`${URL}${i}/`, undefined, never),
  );
  await assert.rejects(w.health.askedProblem(URL, undefined, never), {
    code: "OVERLOADED",
    message: "16 checks of stores are under way (at most 16)",
  });
  await w.agenda.advance(60_000);
  for (const problem of await Promise.all(waiting))
    assert.equal(problem, "health check PUT failed: took more than 60000 ms");
  w.store.script = undefined;
  assert.equal(await w.health.askedProblem(URL, undefined, never), undefined);
  await w.close();
});
