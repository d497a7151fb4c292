// What a broker set aside and a store has goes; everything else in quarantine stays (docs/adr/0012).
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeEach, suite, test } from "node:test";
import { MetricsRegistry, never, silentLogger } from "@millrace/base";
import { seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { contentPath, EMPTY_LABELS, newFragment, type Fragment } from "@millrace/protocol";
import { objectStores } from "@millrace/stores";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import { inlineCodecs } from "./codec.ts";
import { remoteEntry } from "./fragment-index.ts";
import { QuarantineRelease } from "./quarantine-release.ts";
import { contents, SpoolFixture } from "./spool-fixture.ts";
import { QUARANTINE_DIR } from "./spool-paths.ts";
import type { Spool } from "./spools.ts";

const URL = "file:///one/";
const LIFE = { journal: "a", createRevision: 1 };

let fixture: SpoolFixture;
let store: MemoryStore;
let release: QuarantineRelease;
let events: string[];

/** As the name of an object in the store says. */
function fragmentOf(begin: number, content: string): Fragment {
  return newFragment({
    journal: LIFE.journal,
    begin,
    end: begin + content.length,
    sum: createHash("sha1").update(content).digest("hex"),
    compressionCodec: "NONE",
    backingStore: URL,
    modTime: 1,
  });
}

function put(fragment: Fragment, content: string): void {
  store.set(contentPath(fragment), Buffer.from(content));
}

/** Sets everything aside that the spool has. */
async function setAside(spool: Spool): Promise<void> {
  spool.hide(0);
  await fixture.drive(spool.cut(0, EMPTY_LABELS));
}

const aside = (): string[] => [...contents(fixture.disk, `${QUARANTINE_DIR}/`).values()];
const listed = (...fragments: Fragment[]): Promise<void> =>
  fixture.drive(
    release.listed(
      LIFE,
      fragments.map((fragment) => remoteEntry(fragment)),
      never,
    ),
  );

suite("quarantine that a store has", () => {
  beforeEach(async () => {
    fixture = new SpoolFixture("aside");
    const clock = new SimulatedClock(fixture.agenda);
    store = memoryStore({ url: URL, clock, random: seededRandom("aside") });
    events = [];
    const log = (event: string): void => void events.push(event);
    const spool = await fixture.reopen(LIFE.journal);
    release = new QuarantineRelease({
      spools: fixture.spools,
      stores: objectStores({ file: () => store }),
      codecs: inlineCodecs,
      logger: { ...silentLogger, info: log, warn: log },
      metrics: new MetricsRegistry(),
    });
    await fixture.append(spool, "one");
    spool.roll(3);
    await fixture.append(spool, "second");
    await setAside(spool);
    assert.deepEqual(aside(), ["one", "second"]);
  });

  test("a listed object is the same -> its file goes, for good; others stay", async () => {
    const one = fragmentOf(0, "one");
    put(one, "one");
    await listed(one);
    fixture.disk.crash();
    assert.deepEqual(aside(), ["second"]);
    assert.deepEqual(events, ["quarantine-released"]);
    await fixture.reopen(LIFE.journal);
    assert.deepEqual(aside(), ["second"]);
  });

  const different: readonly [string, Fragment, string][] = [
    ["ends elsewhere", fragmentOf(0, "ones"), "ones"],
    ["begins elsewhere", fragmentOf(1, "one"), "one"],
    ["has other content", fragmentOf(0, "two"), "two"],
    ["is cut short in the store", fragmentOf(0, "one"), "on"],
    ["is rotten in the store", fragmentOf(0, "one"), "One"],
  ];
  for (const [what, fragment, content] of different) {
    test(`a listed object ${what} -> all stays`, async () => {
      put(fragment, content);
      await listed(fragment);
      assert.deepEqual(aside(), ["one", "second"]);
      assert.deepEqual(events, []);
    });
  }

  test("the store cannot be read -> all stays, until the listing after it can be", async () => {
    const one = fragmentOf(0, "one");
    put(one, "one");
    store.script = () => "unavailable";
    await listed(one);
    assert.deepEqual([aside(), events], [["one", "second"], ["quarantine-not-released"]]);
    store.script = undefined;
    await listed(one, fragmentOf(3, "second"));
    assert.deepEqual(aside(), ["second"]); // The second is listed and not there.
  });

  test("the directory cannot be synced behind it -> nothing is appended any more, and it says why", async () => {
    const one = fragmentOf(0, "one");
    put(one, "one");
    fixture.disk.failSync((path) => path.startsWith(`${QUARANTINE_DIR}/`));
    assert.equal(fixture.spools.unhealthy(), undefined);
    await listed(one);
    assert.match(fixture.spools.unhealthy() ?? "healthy", /sync .*input\/output error/);
    assert.equal(fixture.fatal.length, 1);
    assert.deepEqual(events, ["quarantine-not-released"]);
  });

  test("the same bytes once more -> both files go", async () => {
    const spool = await fixture.claim(LIFE.journal);
    await fixture.append(spool, "one");
    await setAside(spool);
    assert.equal(aside().length, 3);
    const one = fragmentOf(0, "one");
    put(one, "one");
    await listed(one);
    assert.deepEqual(aside(), ["second"]);
  });

  test("a part of a file -> stays, whatever the store has", async () => {
    const spool = await fixture.claim(LIFE.journal);
    await fixture.append(spool, "shown");
    spool.hide(spool.syncedEnd);
    await fixture.append(spool, "hidden");
    await fixture.drive(spool.cut(5, EMPTY_LABELS));
    const before = aside();
    assert.ok(before.includes("hidden"));
    const hidden = fragmentOf(5, "hidden");
    put(hidden, "hidden");
    await listed(hidden);
    assert.deepEqual(aside(), before);
  });

  test("another life of the journal -> stays", async () => {
    const one = fragmentOf(0, "one");
    put(one, "one");
    await fixture.drive(release.listed({ ...LIFE, createRevision: 2 }, [remoteEntry(one)], never));
    assert.deepEqual(aside(), ["one", "second"]);
  });
});
