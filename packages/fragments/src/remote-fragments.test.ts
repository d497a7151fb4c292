import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import {
  concatBytes,
  never,
  silentLogger,
  utf8,
  WireError,
  type LogFields,
  type Logger,
} from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { contentPath, type CompressionCodec, type Fragment } from "@millrace/protocol";
import { objectStores } from "@millrace/stores";
import { memoryStore, type MemoryStore } from "@millrace/stores/testkit";
import { inlineCodecs, pooledCodecs, prepareCodecs } from "./codec.ts";
import { FragmentIndex } from "./fragment-index.ts";
import { isIntact, listRemoteFragments, readRemoteFragment, type RemotePorts } from "./remote-fragments.ts";

await prepareCodecs();
const URLS = ["file:///one/", "file:///two/"] as const;
const CODECS: CompressionCodec[] = ["NONE", "GZIP", "ZSTANDARD", "SNAPPY", "GZIP_OFFLOAD_DECOMPRESSION"];

interface Fixture {
  readonly ports: RemotePorts;
  readonly store: MemoryStore;
  readonly second: MemoryStore;
  readonly logged: { event: string; fields: LogFields | undefined }[];
}

function fixture(codecs = pooledCodecs): Fixture {
  const clock = new SimulatedClock(new Agenda(), 1_700_000_000_500);
  const opened = URLS.map((url) => memoryStore({ url, clock, random: seededRandom(url) }));
  const logged: { event: string; fields: LogFields | undefined }[] = [];
  const logger: Logger = { ...silentLogger, warn: (event, fields) => void logged.push({ event, fields }) };
  const stores = objectStores({ file: (url) => opened.find((one) => one.url === url)! });
  return { ports: { stores, codecs, logger }, store: opened[0]!, second: opened[1]!, logged };
}

async function stored(content: Uint8Array, fields: Partial<Fragment> = {}): Promise<[Fragment, Uint8Array]> {
  const fragment: Fragment = {
    journal: "a/journal",
    begin: 1000,
    end: 1000 + content.length,
    sum: createHash("sha1").update(content).digest("hex"),
    compressionCodec: "SNAPPY",
    backingStore: URLS[0],
    modTime: 1,
    pathPostfix: "",
    ...fields,
  };
  async function* body(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(content);
  }
  const parts: Uint8Array[] = [];
  for await (const part of inlineCodecs.compress(fragment.compressionCodec, body())) parts.push(part);
  return [fragment, concatBytes(parts)];
}

async function read(ports: RemotePorts, fragment: Fragment, offset: number): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of readRemoteFragment(ports, fragment, offset, never)) parts.push(part);
  return new TextDecoder().decode(concatBytes(parts));
}

const content = utf8(Array.from({ length: 40_000 }, (_, i) => `line ${i}\n`).join(""));
const text = new TextDecoder().decode(content);

test("readRemoteFragment: from its begin, its middle and its last byte, with every codec", async () => {
  for (const codecs of [pooledCodecs, inlineCodecs]) {
    for (const compressionCodec of CODECS) {
      const { ports, store } = fixture(codecs);
      const [fragment, bytes] = await stored(content, { compressionCodec, pathPostfix: "date=1" });
      store.set(contentPath(fragment), bytes);
      for (const at of [0, 1, 70_000, content.length - 1]) {
        assert.equal(
          await read(ports, fragment, 1000 + at),
          text.slice(at),
          `${compressionCodec} from ${at}`,
        );
      }
      assert.equal(await isIntact(ports, fragment, never), true);
    }
  }
});

test("readRemoteFragment: cut off, too long or of another sum -> CORRUPT that names the object", async () => {
  for (const compressionCodec of CODECS) {
    const { ports, store } = fixture();
    const [fragment, bytes] = await stored(content, { compressionCodec });
    const [, longer] = await stored(concatBytes([content, utf8("x")]), { compressionCodec });
    const [, other] = await stored(
      content.map((byte, i) => (i === 5 ? byte ^ 1 : byte)),
      { compressionCodec },
    );
    const cases = {
      "cut off": bytes.subarray(0, bytes.length - 1),
      empty: bytes.subarray(0, 0),
      longer,
      other,
    };
    for (const [name, body] of Object.entries(cases)) {
      store.set(contentPath(fragment), body);
      const isCorrupt = (error: unknown): boolean => {
        assert.ok(error instanceof WireError, String(error));
        assert.equal(error.code, "CORRUPT");
        assert.ok(error.message.startsWith(`fragment ${contentPath(fragment)} in ${URLS[0]} is corrupt: `));
        return true;
      };
      await assert.rejects(() => read(ports, fragment, 1000), isCorrupt, `${compressionCodec} ${name}`);
      assert.equal(await isIntact(ports, fragment, never), false);
      if (name !== "other") await assert.rejects(() => read(ports, fragment, 2000), isCorrupt);
    }
  }
});

test("readRemoteFragment: of another sum -> never given out as a whole", async () => {
  const { ports, store } = fixture();
  const [fragment] = await stored(content, { compressionCodec: "NONE" });
  store.set(
    contentPath(fragment),
    content.map((byte, i) => (i === 5 ? byte ^ 1 : byte)),
  );
  let seen = 0;
  await assert.rejects(async () => {
    for await (const chunk of readRemoteFragment(ports, fragment, 1000, never)) seen += chunk.length;
  });
  assert.ok(seen < content.length);
});

test("readRemoteFragment: what the store throws passes through; isIntact does not take it for an answer", async () => {
  const { ports, store } = fixture();
  const [fragment, bytes] = await stored(content);
  const isCode = (code: string) => (error: unknown) => error instanceof WireError && error.code === code;
  await assert.rejects(() => read(ports, fragment, 1000), isCode("NOT_FOUND"));
  await assert.rejects(() => isIntact(ports, fragment, never), isCode("NOT_FOUND"));
  store.set(contentPath(fragment), bytes);
  store.script = () => "cut-off";
  await assert.rejects(() => read(ports, fragment, 1000), isCode("UNAVAILABLE"));
  await assert.rejects(() => isIntact(ports, fragment, never), isCode("UNAVAILABLE"));
  await assert.rejects(() => read(ports, fragment, 999), /begin <= offset < end/);
  await assert.rejects(() => read(ports, fragment, fragment.end), /begin <= offset < end/);
});

const SUM = "0123456789abcdef0123456789abcdef01234567";
const name = (begin: number, end: number, extension = ".gz"): string =>
  `${begin.toString(16).padStart(16, "0")}-${end.toString(16).padStart(16, "0")}-${SUM}${extension}`;

test("listRemoteFragments: all stores in order; other names are logged and left out", async () => {
  const { ports, store, second, logged } = fixture();
  const one = Uint8Array.of(1);
  for (const path of [name(0, 10), name(10, 20, ".raw"), `date=1/${name(20, 30, "")}`]) {
    store.set(`a/journal/${path}`, one);
  }
  second.set(`a/journal/${name(10, 20, ".raw")}`, one);
  for (const path of ["readme.txt", name(0, 10, ".bad"), `x-${name(0, 10)}`])
    store.set(`a/journal/${path}`, one);
  store.set(`a/journal-2/${name(0, 99)}`, one);
  const listed = await listRemoteFragments(ports, { name: "a/journal", stores: [...URLS] }, never);
  assert.equal(listed.length, 4);
  assert.deepEqual(
    logged.map(({ event, fields }) => [event, fields?.["path"]]),
    [
      ["fragment-name-not-parsed", "a/journal/readme.txt"],
      ["fragment-name-not-parsed", `a/journal/${name(0, 10, ".bad")}`],
      ["fragment-name-not-parsed", `a/journal/x-${name(0, 10)}`],
    ],
  );
  const index = new FragmentIndex();
  index.setRemote(listed, 0);
  const shown = [...index.entries()].map(({ begin, end, fragment }) => {
    const { backingStore, compressionCodec, modTime, pathPostfix } = fragment as Fragment;
    return [begin, end, backingStore, compressionCodec, modTime, pathPostfix];
  });
  assert.deepEqual(shown, [
    [0, 10, URLS[0], "GZIP", 1_700_000_000, ""],
    [10, 20, URLS[1], "NONE", 1_700_000_000, ""],
    [20, 30, URLS[0], "GZIP_OFFLOAD_DECOMPRESSION", 1_700_000_000, "date=1"],
  ]);
});

test("listRemoteFragments: a thousand unknown names -> ten lines and a count", async () => {
  const { ports, store, logged } = fixture();
  for (let i = 0; i < 1000; i++) store.set(`a/journal/file-${i}`, Uint8Array.of(1));
  assert.deepEqual(await listRemoteFragments(ports, { name: "a/journal", stores: [URLS[0]] }, never), []);
  assert.equal(logged.length, 11);
  assert.deepEqual(logged.at(-1)?.fields, { journal: "a/journal", count: 1000 });
});

test("listRemoteFragments: objects of a journal inside this one -> left out when that journal is known", async () => {
  const { ports, store } = fixture();
  for (const path of [
    name(0, 10),
    `date=1/${name(10, 20)}`,
    `inner/${name(0, 99)}`,
    `inner/date=1/${name(99, 200)}`,
  ]) {
    store.set(`a/journal/${path}`, Uint8Array.of(1));
  }
  const journal = { name: "a/journal", stores: [URLS[0]] };
  const ends = async (more: { isJournal?: (name: string) => boolean }): Promise<number[]> =>
    (await listRemoteFragments(ports, { ...journal, ...more }, never))
      .map(({ end }) => end)
      .sort((a, b) => a - b);
  assert.deepEqual(await ends({}), [10, 20, 99, 200], "the trap of the layout");
  assert.deepEqual(await ends({ isJournal: (one) => one === "a/journal/inner" }), [10, 20]);
});

test("listRemoteFragments: a store that fails -> throws, and one that cannot be opened too", async () => {
  const { ports, second } = fixture();
  second.script = () => "unavailable";
  await assert.rejects(
    () => listRemoteFragments(ports, { name: "a/journal", stores: [...URLS] }, never),
    /503/,
  );
  await assert.rejects(
    () => listRemoteFragments(ports, { name: "a/journal", stores: ["s3://bucket/"] }, never),
    /invalid scheme \(s3\)/,
  );
});
