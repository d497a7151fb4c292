// A platform whose journals live in a bucket: what was appended is persisted there, leaves this disk, and is read back
// through the broker and, by signed URL, past it, with every codec.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { concatBytes, never, silentLogger, systemClock } from "@millrace/base";
import { peerProgram } from "@millrace/base/testkit";
import { FragmentReader, HttpTransport, readJournal, type ReaderPorts } from "@millrace/client";
import { pooledCodecs } from "@millrace/fragments";
import {
  newFragmentsRequest,
  newJournalSpec,
  type CompressionCodec,
  type ListedFragment,
} from "@millrace/protocol";
import {
  azureEnvironment,
  BUCKET,
  setEnvironment,
  startAzurite,
  startMinio,
  type StoreServer,
} from "@millrace/stores/testkit";
import { ask } from "./test-http.ts";
import { scratch, TestPlatform, until } from "./test-platform.ts";

const CODECS: readonly CompressionCodec[] = [
  "NONE",
  "GZIP",
  "ZSTANDARD",
  "SNAPPY",
  "GZIP_OFFLOAD_DECOMPRESSION",
];
const APPEND_COUNT = 12;

const minio = peerProgram("minio");
if (minio.missing === false) {
  declareKind("s3 on MinIO", async () => {
    const server = await startMinio(minio.path);
    return { server, store: `s3://${BUCKET}/journals/?endpoint=${server.address}` };
  });
} else it("s3 on MinIO", { skip: minio.missing }, () => undefined);

declareKind("azure on Azurite", async () => {
  const server = await startAzurite();
  setEnvironment(azureEnvironment(server.address));
  return { server, store: `azure://${BUCKET}/journals/` };
});

function declareKind(name: string, start: () => Promise<{ server: StoreServer; store: string }>): void {
  describe(name, () => {
    let server: StoreServer | undefined;
    let platform: TestPlatform | undefined;
    after(async () => {
      await platform?.killGroup();
      await server?.stop();
    });
    it("appended, persisted, released -> read back through the broker, by URL, and after a restart", async () => {
      const started = await start();
      ({ server } = started);
      const data = scratch();
      const flags = ["--journal.store", started.store];
      platform = await TestPlatform.start(data, flags);
      const expected = new Map<CompressionCodec, Buffer>();
      for (const codec of CODECS) expected.set(codec, await fill(platform, codec, started.store));
      const { broker } = platform.endpoints;
      const transport = new HttpTransport({ address: broker, token: "", connections: 4 });
      for (const [codec, content] of expected) {
        const fragments = await persisted(transport, journalOf(codec));
        await assertStored(transport, fragments, content);
        assert.deepEqual((await ask(`${broker}/${journalOf(codec)}`)).bytes, content, codec);
      }
      assert.match((await ask(`${broker}/metrics`)).text, /^millrace_stores_failing 0$/m);
      await transport.close();
      await platform.stop();
      platform = await TestPlatform.start(data, flags);
      for (const [codec, content] of expected) {
        const { bytes } = await ask(`${platform.endpoints.broker}/${journalOf(codec)}`);
        assert.deepEqual(bytes, content, codec);
      }
    });
  });
}

function journalOf(codec: CompressionCodec): string {
  return `stored/${codec.toLowerCase()}`;
}

/** Makes a journal of short fragments. @returns what was appended */
async function fill(platform: TestPlatform, codec: CompressionCodec, store: string): Promise<Buffer> {
  const { broker } = platform.endpoints;
  const journal = journalOf(codec);
  const transport = new HttpTransport({ address: broker, token: "", connections: 1 });
  const spec = newJournalSpec({ name: journal, replication: 1 });
  const fragment = {
    ...spec.fragment,
    refreshIntervalMs: 60_000,
    length: 1024,
    compressionCodec: codec,
    stores: [store],
  };
  const upsert = { ...spec, fragment };
  const { status } = await transport.apply(
    { changes: [{ upsert, expectModRevision: 0, delete: "" }] },
    never,
  );
  assert.equal(status, "OK");
  await transport.close();
  const parts = Array.from({ length: APPEND_COUNT }, (_, i) => `${codec} ${i} `.repeat(60));
  for (const body of parts) {
    assert.equal((await ask(`${broker}/${journal}`, { method: "PUT", body })).status, 204);
  }
  return Buffer.from(parts.join(""));
}

/** All fragments of the journal but the one that is open, once they are in the store. */
async function persisted(transport: HttpTransport, journal: string): Promise<readonly ListedFragment[]> {
  let fragments: readonly ListedFragment[] = [];
  await until(`${journal} is persisted`, 60_000, async () => {
    const request = newFragmentsRequest({ journal, signatureTtlMs: 60_000 });
    ({ fragments } = await transport.listFragments(request, never));
    return fragments.slice(0, -1).every(({ spec }) => spec.backingStore !== "");
  });
  const stored = fragments.filter(({ signedUrl }) => signedUrl !== "");
  assert.ok(stored.length > 1, journal);
  return stored;
}

/** Each fragment at its URL, and the whole journal by a reader that takes what is stored at its URLs. */
async function assertStored(
  transport: HttpTransport,
  fragments: readonly ListedFragment[],
  content: Buffer,
): Promise<void> {
  const reader = new CountingReader(pooledCodecs, 4);
  for (const { spec, signedUrl } of fragments) {
    const got = await collected(reader.read(spec, signedUrl, spec.begin, never));
    assert.deepEqual(got, content.subarray(spec.begin, spec.end));
    const middle = (spec.begin + spec.end) >> 1;
    const rest = await collected(reader.read(spec, signedUrl, middle, never));
    assert.deepEqual(rest, content.subarray(middle, spec.end));
  }
  reader.count = 0;
  const ports = { transport, clock: systemClock, logger: silentLogger, fragments: reader };
  const { journal } = fragments[0]!.spec;
  assert.deepEqual(await collected(contentOf(ports, journal)), content);
  assert.equal(reader.count, fragments.length, journal);
  await reader.close();
}

class CountingReader extends FragmentReader {
  count = 0;
  override read(...args: Parameters<FragmentReader["read"]>): ReturnType<FragmentReader["read"]> {
    this.count++;
    return super.read(...args);
  }
}

async function* contentOf(ports: ReaderPorts, journal: string): AsyncGenerator<Uint8Array> {
  for await (const event of readJournal(ports, { journal, offset: 0, block: false }, never)) {
    if (event.kind === "content") yield event.bytes;
  }
}

async function collected(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.from(concatBytes(parts));
}
