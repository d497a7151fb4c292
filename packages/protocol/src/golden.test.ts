import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { hex, unhex } from "@millrace/base";
import {
  decodeBrokerSpec,
  decodeFragment,
  decodeJournalSpec,
  decodeRoute,
  EMPTY_ROUTE,
  EMPTY_SHA1,
  encodeBrokerSpec,
  encodeFragment,
  encodeJournalSpec,
  encodeRoute,
  EMPTY_LABELS,
  FLAG,
  JOURNAL_SERVICE,
  labelSet,
  newAppendRequest,
  newAppendResponse,
  newFragmentsRequest,
  newListResponse,
  newReadResponse,
  newReplicateRequest,
  parseLabelSelector,
} from "./index.ts";
import { brokerSpec, fragment, header, journalSpec, route } from "./testkit.ts";

const APPEND = newAppendRequest({
  header: header(),
  journal: "a/journal",
  doNotProxy: true,
  offset: 1234,
  checkRegisters: parseLabelSelector("aa=1,bb:prefix=x,!cc"),
  unionRegisters: labelSet(["aa", "2"]),
  subtractRegisters: labelSet(["aa", "1"]),
  suspend: "SUSPEND_NO_RESUME",
  minEtcdRevision: 99,
});
const APPENDED = newAppendResponse({
  header: header(),
  commit: fragment(),
  registers: labelSet(["aa", "2"]),
  totalChunks: 3,
  delayedChunks: 1,
});
const METADATA = newReadResponse({
  header: header({ processId: { zone: "", suffix: "" }, route: EMPTY_ROUTE }),
  offset: 50,
  writeHead: 100,
  fragment: fragment({ backingStore: "s3://bucket/", modTime: 1500000000, pathPostfix: "a=1" }),
  fragmentUrl: "https://host/path?a=b",
});
const PROPOSAL = newReplicateRequest({
  header: header(),
  proposal: fragment({ compressionCodec: "ZSTANDARD" }),
  acknowledge: true,
  registers: EMPTY_LABELS,
});
const LISTING = newListResponse({
  header: header({ route: EMPTY_ROUTE }),
  journals: [{ spec: journalSpec(), modRevision: 12, route: route(), createRevision: 10 }],
});
const FRAGMENTS = newFragmentsRequest({
  journal: "a/journal",
  beginModTime: -1,
  endModTime: 1500000000,
  nextPageToken: 7,
  pageLimit: 10,
  signatureTtlMs: 90_500.000_001,
});

const VALUES: Readonly<
  Record<string, readonly [encoded: Uint8Array, decoded: (bytes: Uint8Array) => unknown, value: unknown]>
> = {
  "JournalSpec small": specRow(
    journalSpec({ flags: FLAG.NOT_SPECIFIED, fragment: { length: 1024, refreshIntervalMs: 1000 } }),
  ),
  "JournalSpec full": specRow(
    journalSpec({
      name: "foo/bar",
      replication: 3,
      labels: labelSet(["name-x", "val"]),
      fragment: {
        length: 1 << 20,
        compressionCodec: "GZIP",
        stores: ["file:///"],
        refreshIntervalMs: 60_000,
        flushIntervalMs: 3_600_000,
      },
      suspend: { level: "PARTIAL", offset: 4096 },
    }),
  ),
  BrokerSpec: brokerRow(false),
  "BrokerSpec exiting": brokerRow(true),
  "Route empty": [encodeRoute(EMPTY_ROUTE), decodeRoute, EMPTY_ROUTE],
  Route: routeRow(),
  AppendRequest: [
    JOURNAL_SERVICE.append.encodeRequest(APPEND),
    (bytes) => JOURNAL_SERVICE.append.decodeRequest(bytes),
    APPEND,
  ],
  AppendResponse: [
    JOURNAL_SERVICE.append.encodeResponse(APPENDED),
    (bytes) => JOURNAL_SERVICE.append.decodeResponse(bytes),
    APPENDED,
  ],
  "ReadResponse metadata": [
    JOURNAL_SERVICE.read.encodeResponse(METADATA),
    (bytes) => JOURNAL_SERVICE.read.decodeResponse(bytes),
    METADATA,
  ],
  "ReplicateRequest proposal": [
    JOURNAL_SERVICE.replicate.encodeRequest(PROPOSAL),
    (bytes) => JOURNAL_SERVICE.replicate.decodeRequest(bytes),
    PROPOSAL,
  ],
  ListResponse: [
    JOURNAL_SERVICE.list.encodeResponse(LISTING),
    (bytes) => JOURNAL_SERVICE.list.decodeResponse(bytes),
    LISTING,
  ],
  FragmentsRequest: [
    JOURNAL_SERVICE.listFragments.encodeRequest(FRAGMENTS),
    (bytes) => JOURNAL_SERVICE.listFragments.decodeRequest(bytes),
    FRAGMENTS,
  ],
};

test("golden: every line of the file -> is what we encode, and decodes to the value", () => {
  const lines = readFileSync(new URL("../src/golden.txt", import.meta.url), "utf8").split("\n");
  const rows = lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => line.split(" = "));
  assert.deepEqual(new Set(rows.map(([name]) => name)), new Set(Object.keys(VALUES)));
  for (const [name, digits] of rows) {
    const [encoded, decode, value] = VALUES[name!]!;
    assert.equal(hex(encoded), digits, name);
    assert.deepEqual(decode(unhex(digits!)!), value, name);
  }
});

test("golden: sum of a fragment -> big-endian words, little-endian on the wire", () => {
  const bytes = encodeFragment(fragment({ journal: "", begin: 0, end: 0, compressionCodec: "INVALID" }));
  assert.equal(
    hex(bytes),
    "2217" + "09" + "0807060504030201" + "11" + "100f0e0d0c0b0a09" + "1d" + "14131211",
  );
  assert.equal(decodeFragment(bytes).sum, "0102030405060708090a0b0c0d0e0f1011121314");
  assert.equal(decodeFragment(encodeFragment(fragment({ sum: EMPTY_SHA1 }))).sum, EMPTY_SHA1);
});

function specRow(
  spec: ReturnType<typeof journalSpec>,
): readonly [Uint8Array, typeof decodeJournalSpec, unknown] {
  return [encodeJournalSpec(spec), decodeJournalSpec, spec];
}

function brokerRow(exiting: boolean): readonly [Uint8Array, typeof decodeBrokerSpec, unknown] {
  const id = { zone: "local", suffix: "test-broker" };
  const spec = brokerSpec({ id, endpoint: "http://h:8080", journalLimit: 1024, exiting });
  return [encodeBrokerSpec(spec), decodeBrokerSpec, spec];
}

function routeRow(): readonly [Uint8Array, typeof decodeRoute, unknown] {
  const members = [
    { zone: "a", suffix: "one1" },
    { zone: "b", suffix: "two2" },
  ];
  const value = { members, primary: 1, endpoints: [] };
  return [encodeRoute(value), decodeRoute, value];
}
