import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hex, never, silentLogger, text, utf8, type Logger, type WireError } from "@millrace/base";
import { Agenda, seededRandom, settle, SimulatedClock } from "@millrace/base/testkit";
import type { CoordinationStore } from "@millrace/metadata";
import { openMemoryStore } from "@millrace/metadata/testkit";
import { DATA_KEYS_KEY, decodeDataKeys, encodeDataKeys, type DataKeyRecord } from "./data-key-record.ts";
import { DataKeyRing, type DataKeyPlan } from "./data-key-ring.ts";
import { SETTLE_MS } from "./data-key-rules.ts";
import type { KeyContext, KeyFailure, KeyService, MadeKey } from "./key-service.ts";
import { CannotOpen, type SecretBox } from "./secret-box.ts";
import { fileKeys, keysTogether, sealedBy } from "./system-aes-box.ts";

class Refused extends Error {
  readonly failure: KeyFailure;
  constructor(kind: KeyFailure["kind"], reason: string) {
    super(reason);
    this.failure = { kind, reason, remedy: "mend it" };
  }
}

/** A service that keeps what it has wrapped, with keys that can be taken away. */
class ModelService implements KeyService {
  readonly provider = "aws-kms";
  readonly #random = seededRandom("model service");
  readonly #wrapped = new Map<
    string,
    { readonly by: string; readonly context: string; readonly plain: Uint8Array }
  >();
  /** By key: what requests for it are answered. */
  readonly refusals = new Map<string, Refused>();
  /** Answered to the next requests, one each. */
  readonly next: Refused[] = [];
  readonly contexts: KeyContext[] = [];
  isSilent = false;
  requests = 0;

  async generate(key: string, context: KeyContext, signal: AbortSignal): Promise<MadeKey> {
    await this.#ask(key, signal);
    const plain = this.#random.fill(new Uint8Array(32));
    const wrapped = this.#random.fill(new Uint8Array(8));
    this.contexts.push(context);
    this.wrap(wrapped, { by: key, context, plain });
    return { plain: plain.slice(), wrapped, by: `arn:${key}` };
  }

  async unwrap(
    wrapped: Uint8Array,
    key: string,
    context: KeyContext,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    await this.#ask(key, signal);
    const found = this.#wrapped.get(hex(wrapped));
    if (found === undefined) throw new Refused("changed", "no ciphertext");
    if (found.by !== key) throw new Refused("other-key", "wrapped by another");
    if (found.context !== JSON.stringify(context)) throw new Refused("changed", "another context");
    return found.plain.slice();
  }

  wrap(wrapped: Uint8Array, of: { by: string; context: KeyContext; plain: Uint8Array }): void {
    this.#wrapped.set(hex(wrapped), { ...of, context: JSON.stringify(of.context) });
  }

  failureOf(thrown: unknown): KeyFailure {
    if (thrown instanceof Refused) return thrown.failure;
    return { kind: "passing", reason: String(thrown), remedy: "" };
  }

  #ask(key: string, signal: AbortSignal): Promise<void> {
    this.requests++;
    const refusal = this.next.shift() ?? this.refusals.get(key);
    if (refusal !== undefined) return Promise.reject(refusal);
    if (!this.isSilent) return Promise.resolve();
    return new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
  }
}

class World {
  readonly agenda = new Agenda();
  readonly clock = new SimulatedClock(this.agenda);
  readonly service = new ModelService();
  readonly events: string[] = [];
  #store: CoordinationStore | undefined;

  static async open(): Promise<World> {
    const world = new World();
    world.#store = await openMemoryStore(world.clock, seededRandom("store"));
    return world;
  }

  get store(): CoordinationStore {
    return this.#store!;
  }

  ring(names: readonly string[] = ["a"], plan: Partial<DataKeyPlan> = {}): DataKeyRing {
    const note = (event: string): void => void this.events.push(event);
    const logger: Logger = { ...silentLogger, warn: note, info: note };
    const ports = { store: this.store, service: this.service, clock: this.clock, logger };
    return new DataKeyRing(
      { ...ports, random: seededRandom("ring") },
      { names, context: { "millrace-prefix": "/p" }, rotateAfterMs: 0, ...plan },
    );
  }

  async loaded(names?: readonly string[], plan?: Partial<DataKeyPlan>): Promise<DataKeyRing> {
    const ring = this.ring(names, plan);
    await this.during(ring.load(never));
    return ring;
  }

  /** Lets time pass until `work` has ended. */
  async during<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    const end = (): void => void (isOver = true);
    work.then(end, end);
    for (let i = 0; i < 1000 && !isOver; i++) await this.agenda.advance(100);
    return work;
  }

  async record(): Promise<DataKeyRecord> {
    return decodeDataKeys((await this.store.range({ key: DATA_KEYS_KEY }, never)).kvs[0]!.value);
  }

  async put(record: DataKeyRecord): Promise<void> {
    const put = { kind: "put", key: DATA_KEYS_KEY, value: encodeDataKeys(record) } as const;
    await this.store.txn({ compare: [], success: [put] }, never);
  }
}

function boxOf(ring: DataKeyRing): SecretBox {
  return sealedBy(keysTogether([ring]));
}

describe("data keys", () => {
  test("the first start -> one is made and kept wrapped; another process opens what it has sealed", async () => {
    const world = await World.open();
    const one = await world.loaded();
    const sealed = boxOf(one).seal("secret", "here");
    const { keys, installation } = await world.record();
    assert.deepEqual(
      keys.map(({ by, provider }) => [by, provider]),
      [["arn:a", "aws-kms"]],
    );
    const stored = text((await world.store.range({ key: DATA_KEYS_KEY }, never)).kvs[0]!.value);
    for (const encoding of ["base64", "hex"] as const)
      assert.ok(!stored.includes(Buffer.from(one.sealing().bytes).toString(encoding)));
    assert.deepEqual(world.service.contexts, [
      { "millrace-prefix": "/p", "millrace-installation": installation },
    ]);
    const two = await world.loaded();
    assert.equal(boxOf(two).open(sealed, "here"), "secret");
    assert.equal((await world.record()).keys.length, 1);
  });

  test("many processes start at once -> one key, and all seal with it", async () => {
    const world = await World.open();
    const rings = Array.from({ length: 8 }, () => world.ring());
    await world.during(Promise.all(rings.map((ring) => ring.load(never))));
    const ids = new Set(rings.map((ring) => ring.sealing().id));
    assert.deepEqual(
      [...ids],
      (await world.record()).keys.map(({ id }) => id),
    );
    assert.equal(ids.size, 1);
    assert.ok(world.service.contexts.length > 1, "several were made, one was taken");
  });

  test("another key first -> what is new is sealed with it once it has settled, and what is old opens", async () => {
    const world = await World.open();
    const before = await world.loaded(["a"]);
    const [first] = (await world.record()).keys;
    const sealed = boxOf(before).seal("old", "here");
    await world.agenda.advance(SETTLE_MS);
    const after = await world.loaded(["b", "a"]);
    assert.equal(after.sealing().id, first!.id);
    await world.agenda.advance(SETTLE_MS);
    const second = (await world.record()).keys[1]!;
    assert.equal(second.by, "arn:b");
    assert.equal(after.sealing().id, second.id);
    assert.equal(boxOf(after).open(sealed, "here"), "old");
    const again = await world.loaded(["b", "a"]);
    assert.equal(again.sealing().id, first!.id, "it has not known the second for long");
    await world.agenda.advance(SETTLE_MS);
    assert.equal(again.sealing().id, second.id);
    assert.equal((await world.record()).keys.length, 2);
  });

  test("a data key is old -> another is made, once for all processes, and all have it before it seals", async () => {
    const world = await World.open();
    const plan = { rotateAfterMs: 3_600_000 };
    const rings = [await world.loaded(["a"], plan), await world.loaded(["a"], plan)];
    const stopping = new AbortController();
    const running = rings.map((ring) => ring.run(stopping.signal).catch(() => undefined));
    const [first] = (await world.record()).keys;
    const sealed = boxOf(rings[0]!).seal("old", "here");
    await world.agenda.advance(plan.rotateAfterMs + 60_000);
    const { keys } = await world.record();
    assert.equal(keys.length, 2);
    for (const ring of rings) {
      assert.ok(ring.opening(keys[1]!.id) !== undefined, "it is here");
      assert.equal(ring.sealing().id, first!.id, "and does not seal yet");
    }
    await world.agenda.advance(SETTLE_MS);
    const crossed = boxOf(rings[0]!).seal("new", "here");
    assert.equal(rings[0]!.sealing().id, keys[1]!.id);
    assert.equal(boxOf(rings[1]!).open(crossed, "here"), "new");
    assert.equal(boxOf(rings[1]!).open(sealed, "here"), "old");
    stopping.abort();
    await Promise.all(running);
  });

  test("from a key file and back -> what either has sealed opens", async () => {
    const world = await World.open();
    const file = fileKeys([new Uint8Array(32).fill(7)]);
    const ofFile = sealedBy(keysTogether([file])).seal("file", "here");
    const ring = await world.loaded();
    const there = sealedBy(keysTogether([ring, file]));
    const ofService = there.seal("service", "here");
    assert.equal(there.open(ofFile, "here"), "file");
    const back = sealedBy(keysTogether([file, ring]));
    assert.equal(back.open(ofService, "here"), "service");
    assert.deepEqual(back.open(back.seal("again", "x"), "x"), "again");
    assert.throws(() => sealedBy(keysTogether([file])).open(ofService, "here"), CannotOpen);
  });

  test("the service goes away while it runs -> seals and opens on; a rotation waits for it", async () => {
    const world = await World.open();
    const plan = { rotateAfterMs: 3_600_000 };
    const ring = await world.loaded(["a"], plan);
    const stopping = new AbortController();
    const running = ring.run(stopping.signal).catch(() => undefined);
    world.service.refusals.set("a", new Refused("passing", "away"));
    await world.agenda.advance(plan.rotateAfterMs + 120_000);
    assert.ok(world.events.includes("data-key-not-made"));
    assert.equal(boxOf(ring).open(boxOf(ring).seal("s", "x"), "x"), "s");
    assert.equal((await world.record()).keys.length, 1);
    world.service.refusals.clear();
    await world.agenda.advance(120_000);
    assert.equal((await world.record()).keys.length, 2);
    stopping.abort();
    await running;
  });

  test("a name that was added to the setting elsewhere -> its key is closed here, said, and tried again", async () => {
    const world = await World.open();
    const ring = await world.loaded(["a"]);
    await world.loaded(["b", "a"]);
    const { keys } = await world.record();
    const stopping = new AbortController();
    const running = ring.run(stopping.signal).catch(() => undefined);
    await world.agenda.advance(60_000);
    assert.equal(ring.closedCount, 1);
    assert.deepEqual(world.events.filter((event) => event === "data-key-closed").length, 1);
    assert.match(ring.whyClosed(keys[1]!.id)!, /wrapped by another: mend it/);
    await world.agenda.advance(20 * 30_000);
    assert.deepEqual(world.events.filter((event) => event === "data-key-closed").length, 2);
    stopping.abort();
    await running;
  });
});

test("data keys: one is closed in a process that runs -> tried again, and who waits is told", async () => {
  const world = await World.open();
  const ring = await world.loaded();
  let told = 0;
  const end = keysTogether([ring]).observe(() => void told++);
  const plan = { rotateAfterMs: 3_600_000 };
  await world.agenda.advance(plan.rotateAfterMs);
  await world.loaded(["a"], plan);
  world.service.refusals.set("a", new Refused("refused", "AccessDeniedException"));
  const stopping = new AbortController();
  const running = ring.run(stopping.signal).catch(() => undefined);
  await world.agenda.advance(60_000);
  assert.deepEqual([ring.closedCount, told], [1, 0]);
  world.service.refusals.clear();
  await world.agenda.advance(20 * 30_000);
  assert.deepEqual([ring.closedCount, told], [0, 1]);
  end();
  stopping.abort();
  await running;
});

describe("data keys that cannot be had at the start", () => {
  const refusals: [what: string, refusal: Refused, code: WireError["code"], requests: number][] = [
    ["the service is away", new Refused("passing", "ECONNREFUSED"), "UNAVAILABLE", 5],
    ["rights are missing", new Refused("refused", "AccessDeniedException"), "FORBIDDEN", 1],
    ["the key is disabled", new Refused("refused", "DisabledException"), "FORBIDDEN", 1],
  ];
  for (const [what, refusal, code, requests] of refusals) {
    test(`${what} -> ${code} with key, reason and remedy, after ${requests} requests; nothing is written`, async () => {
      const world = await World.open();
      world.service.refusals.set("a", refusal);
      const message = `no data key from aws-kms key a: ${refusal.message}: mend it`;
      await assert.rejects(world.loaded(), { code, message });
      assert.equal(world.service.requests, requests);
      assert.equal((await world.store.range({ key: DATA_KEYS_KEY }, never)).kvs.length, 0);
    });
  }

  test("throttled a few times -> waits longer each time, and goes on", async () => {
    const world = await World.open();
    world.service.next.push(
      ...Array.from({ length: 4 }, () => new Refused("passing", "ThrottlingException")),
    );
    const ring = await world.loaded();
    assert.equal(world.service.requests, 5);
    assert.ok(world.clock.monotonicMs() >= (200 + 600 + 1800 + 5400) / 2);
    assert.equal(boxOf(ring).open(boxOf(ring).seal("s", "x"), "x"), "s");
  });

  test("the service is silent -> UNAVAILABLE in bounded time; an abort ends the waiting", async () => {
    const world = await World.open();
    world.service.isSilent = true;
    await assert.rejects(world.loaded(), { code: "UNAVAILABLE", message: /no answer within 6000 ms/ });
    const stopping = new AbortController();
    const loading = world.ring().load(stopping.signal);
    await settle();
    stopping.abort(new Error("stopped"));
    await assert.rejects(loading, { message: "stopped" });
  });

  test("there is one, and the service is away -> UNAVAILABLE, and no second one", async () => {
    const world = await World.open();
    await world.loaded();
    world.service.refusals.set("a", new Refused("passing", "away"));
    await assert.rejects(world.loaded(), {
      code: "UNAVAILABLE",
      message: /^data key [0-9a-f]{16}, wrapped by arn:a: away/,
    });
    assert.equal((await world.record()).keys.length, 1);
  });

  test("a wrapped key was changed, or exchanged for another one -> CORRUPT, and no second one", async () => {
    const world = await World.open();
    await world.loaded();
    const record = await world.record();
    const [key] = record.keys;
    await world.put({ ...record, keys: [{ ...key!, wrapped: utf8("something else") }] });
    await assert.rejects(world.loaded(), { code: "CORRUPT", message: /no ciphertext: mend it/ });
    const context = { "millrace-prefix": "/p", "millrace-installation": record.installation };
    world.service.wrap(utf8("of another"), { by: "a", context, plain: new Uint8Array(32).fill(9) });
    await world.put({ ...record, keys: [{ ...key!, wrapped: utf8("of another") }] });
    await assert.rejects(world.loaded(), {
      code: "CORRUPT",
      message: /another key was wrapped in its place/,
    });
    await world.put({ ...record, installation: "another" });
    await assert.rejects(world.loaded(), { code: "CORRUPT", message: /another context/ });
    assert.equal((await world.record()).keys.length, 1);
    await world.put(record);
    await world.loaded();
  });

  test("its key is not named any more -> another is made; what it has sealed says what is missing", async () => {
    const world = await World.open();
    const sealed = boxOf(await world.loaded(["a"])).seal("s", "here");
    const ring = await world.loaded(["b"]);
    const why =
      /the secret of here is sealed with data key [0-9a-f]{16}, which is closed: wrapped by another: mend it/;
    assert.throws(
      () => boxOf(ring).open(sealed, "here"),
      (error) => error instanceof CannotOpen && why.test(error.message),
    );
    assert.equal((await world.record()).keys.length, 2);
  });

  test("a key of a service that this program does not know -> kept, closed, and said", async () => {
    const world = await World.open();
    await world.loaded();
    const record = await world.record();
    const foreign = { ...record.keys[0]!, id: "ffff", provider: "other-kms" };
    await world.put({ ...record, keys: [...record.keys, foreign] });
    const ring = await world.loaded();
    assert.equal(ring.whyClosed("ffff"), "it is wrapped by other-kms, not aws-kms");
    assert.equal(ring.closedCount, 1);
  });

  test("as many as the record takes -> a rotation is not made, and what there is seals on", async () => {
    const world = await World.open();
    const ring = await world.loaded();
    const record = await world.record();
    const [key] = record.keys;
    const foreign = Array.from({ length: 99 }, (_, i) => ({ ...key!, id: `f${i}`, provider: "other-kms" }));
    await world.put({ ...record, keys: [...foreign, key!] });
    await world.agenda.advance(3_600_000);
    const full = await world.loaded(["a"], { rotateAfterMs: 60_000 });
    assert.equal(full.sealing().id, ring.sealing().id);
    assert.ok(world.events.includes("data-key-not-made"));
    await assert.rejects(world.loaded(["b"]), { code: "CONFLICT", message: /has 100 keys already/ });
  });
});
