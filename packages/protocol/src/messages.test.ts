import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, hex, InvariantError, unhex, utf8 } from "@millrace/base";
import { DECODED_ITEMS_MAX } from "@millrace/protobuf";
import {
  applyRequestFromJson,
  applyRequestToJson,
  decodeAppendRequest,
  decodeFragmentsRequest,
  decodeJournalSpec,
  decodeLabelSet,
  decodeListResponse,
  decodeReadRequest,
  decodeReadResponse,
  decodeRoute,
  encodeAppendRequest,
  encodeFragmentsRequest,
  encodeJournalSpec,
  encodeReadRequest,
  encodeReadResponse,
  newAppendRequest,
  newFragmentsRequest,
  newReadRequest,
  newReadResponse,
  upsertChange,
} from "./index.ts";
import { refusal } from "./refusal-testkit.ts";

test("decode: malformed bytes -> refused with the path to the field", () => {
  const cases: readonly (readonly [hex: string, decode: (bytes: Uint8Array) => unknown, text: string])[] = [
    ["98", decodeReadRequest, "truncated varint"],
    ["18", decodeReadRequest, "offset: truncated varint"],
    ["1205616263", decodeReadRequest, "journal: truncated (need 5 bytes, have 3)"],
    ["12ffffffff0f", decodeReadRequest, "journal: truncated (need 4294967295 bytes, have 0)"],
    [
      "12ffffffffffffffff7f",
      decodeReadRequest,
      "journal: truncated (need 9223372036854776000 bytes, have 0)",
    ],
    ["1202fffe", decodeReadRequest, "journal: not valid UTF-8"],
    ["1001", decodeReadRequest, "journal: wrong wire type (0; expected 2)"],
    ["18ffffffffffffffffff02", decodeReadRequest, "offset: varint overflows 64 bits"],
    ["1880808080808080808080808001", decodeReadRequest, "offset: varint overflows 64 bits"],
    [
      "188080808080808010",
      decodeReadRequest,
      "offset: value out of range (9007199254740992; expected |value| < 2^53)",
    ],
    ["0001", decodeReadRequest, "illegal tag (field 0)"],
    ["56", decodeReadRequest, "illegal wire type (6)"],
    ["54", decodeReadRequest, "unexpected end of group (field 10)"],
    ["5355", decodeReadRequest, "truncated (need 4 bytes, have 0)"],
    ["0a0412020a05", decodeReadRequest, "header.route.members: truncated (need 5 bytes, have 0)"],
    ["0863", decodeReadResponse, "Status: invalid status (99)"],
    ["2202" + "1063", decodeJournalSpec, "Fragment.CompressionCodec: invalid value (99)"],
    ["4863", decodeAppendRequest, "Suspend: invalid Suspend variant (99)"],
    ["3a0610ffffffff07", decodeFragmentsRequest, "signatureTTL: nanos out of range (2147483647)"],
    [
      "3a0d080110ffffffffffffffffff01",
      decodeFragmentsRequest,
      "signatureTTL: seconds and nanos have different signs (1, -1)",
    ],
    [
      "3a0608ffffffff7f",
      decodeFragmentsRequest,
      "signatureTTL: duration out of range (34359738367000000000ns)",
    ],
  ];
  for (const [digits, decode, text] of cases)
    assert.equal(
      refusal(() => decode(unhex(digits)!)),
      text,
      digits,
    );
});

test("decode: unknown fields of every wire type -> skipped", () => {
  const unknown = unhex(
    "a006" +
      "ff01" +
      "a106" +
      "0102030405060708" +
      "a206" +
      "03616263" +
      "a506" +
      "01020304" +
      "a306" +
      "0801" +
      "a406",
  )!;
  const request = newReadRequest({ journal: "a/journal", offset: 7 });
  assert.deepEqual(decodeReadRequest(concatBytes([unknown, encodeReadRequest(request), unknown])), request);
});

test("decode: groups that nest without end -> refused", () => {
  assert.match(
    refusal(() => decodeReadRequest(new Uint8Array(100_000).fill(0x53))),
    /^groups nest too deeply/,
  );
});

test("decode: more items than the bound -> refused", () => {
  const bytes = new Uint8Array(2 * (DECODED_ITEMS_MAX + 1));
  for (let i = 0; i < bytes.length; i += 2) bytes[i] = 0x0a;
  assert.match(
    refusal(() => decodeLabelSet(bytes)),
    /^labels: too many items in one message/,
  );
});

test("decode: no bytes -> zero values, absent optionals", () => {
  assert.deepEqual(decodeRoute(new Uint8Array()), { members: [], primary: 0, endpoints: [] });
  const listing = decodeListResponse(new Uint8Array());
  assert.deepEqual(listing.header.etcd, { clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0n });
  assert.equal(Object.hasOwn(decodeReadRequest(new Uint8Array()), "header"), false);
});

test("decode: a message that occurs twice -> merged, repeated fields appended", () => {
  const one = unhex("0a06" + "12040a020a00")!; // header.route.members[0] = {}
  const decoded = decodeReadRequest(concatBytes([one, one]));
  assert.equal(decoded.header?.route.members.length, 2);
});

test("content: absent and empty differ when decoded, and neither is encoded", () => {
  assert.equal(decodeReadResponse(new Uint8Array()).content, undefined);
  assert.deepEqual(decodeReadResponse(unhex("3a00")!).content, new Uint8Array());
  assert.equal(hex(encodeReadResponse(newReadResponse({ content: new Uint8Array() }))), "");
  const content = utf8("content");
  const bytes = encodeAppendRequest(newAppendRequest({ content }));
  assert.deepEqual(decodeAppendRequest(bytes).content, content);
  assert.equal(decodeAppendRequest(bytes).content?.buffer, bytes.buffer, "a view of the input");
});

test("int64: offsets beyond 2^53 are refused, bounds are clamped, what a spec holds is kept", () => {
  const max = "ffffffffffffffff7f";
  assert.equal(decodeReadRequest(unhex(`38${max}`)!).endOffset, Number.MAX_SAFE_INTEGER);
  const spec = decodeJournalSpec(unhex(`38${max}4209108180808080808010`)!);
  assert.deepEqual([spec.maxAppendRate, spec.suspend?.offset], [2n ** 63n - 1n, 2n ** 53n + 1n]);
  assert.deepEqual(decodeJournalSpec(encodeJournalSpec(spec)), spec);
  const request = { changes: [upsertChange(spec, 0)] };
  assert.deepEqual(applyRequestFromJson(applyRequestToJson(request)), request);
  assert.equal(decodeReadRequest(unhex("40ffffffffffffffffff01")!).beginModTime, -1);
  assert.throws(() => encodeReadRequest(newReadRequest({ offset: 2 ** 53 })), InvariantError);
});

test("int32: a primary of -1 takes ten bytes, and of 0 none", () => {
  assert.equal(decodeRoute(unhex("10ffffffffffffffffff01")!).primary, -1);
  assert.equal(decodeRoute(unhex("10ffffffff0f")!).primary, -1, "five bytes, as some encoders write it");
});

test("duration: an absent signatureTTL is not zero", () => {
  const absent = newFragmentsRequest({ journal: "a/journal" });
  const zero = newFragmentsRequest({ journal: "a/journal", signatureTtlMs: 0 });
  assert.deepEqual(decodeFragmentsRequest(encodeFragmentsRequest(absent)), absent);
  assert.deepEqual(decodeFragmentsRequest(encodeFragmentsRequest(zero)), zero);
});
