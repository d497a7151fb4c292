// HPACK against the examples of RFC 7541 appendix C, and what an encoder may do wrong.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { hex, unhex } from "@millrace/base";
import { ConnectionFault } from "./h2-error.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { HpackEncoder, KeptList } from "./hpack-encoder.ts";
import { decodeHuffman, encodeHuffman, huffmanLength } from "./hpack-huffman.ts";

const bytes = (digits: string): Uint8Array => unhex(digits.replace(/\s/g, ""))!;
const fresh = (tableBytes = 4096, listBytes = 65_536): HpackDecoder =>
  new HpackDecoder(tableBytes, listBytes);

const REQUESTS: readonly (readonly string[])[] = [
  [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"],
  [
    ":method",
    "GET",
    ":scheme",
    "http",
    ":path",
    "/",
    ":authority",
    "www.example.com",
    "cache-control",
    "no-cache",
  ],
  [
    ...[":method", "GET", ":scheme", "https", ":path", "/index.html", ":authority", "www.example.com"],
    ...["custom-key", "custom-value"],
  ],
];
const RESPONSE_ONE = [
  ...[":status", "302", "cache-control", "private", "date", "Mon, 21 Oct 2013 20:13:21 GMT"],
  ...["location", "https://www.example.com"],
];
const RESPONSE_TWO = [":status", "307", ...RESPONSE_ONE.slice(2)];
const RESPONSE_THREE = [
  ...[":status", "200", "cache-control", "private", "date", "Mon, 21 Oct 2013 20:13:22 GMT"],
  ...["location", "https://www.example.com", "content-encoding", "gzip"],
  ...["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"],
];

/** Section, table size, blocks and lists. */
const EXAMPLES: readonly (readonly [string, number, readonly (readonly [string, readonly string[]])[]])[] = [
  [
    "C.2.1",
    4096,
    [["400a637573746f6d2d6b65790d637573746f6d2d686561646572", ["custom-key", "custom-header"]]],
  ],
  ["C.2.2", 4096, [["040c2f73616d706c652f70617468", [":path", "/sample/path"]]]],
  ["C.2.3", 4096, [["100870617373776f726406736563726574", ["password", "secret"]]]],
  ["C.2.4", 4096, [["82", [":method", "GET"]]]],
  [
    "C.3",
    4096,
    [
      ["828684410f7777772e6578616d706c652e636f6d", REQUESTS[0]!],
      ["828684be58086e6f2d6361636865", REQUESTS[1]!],
      ["828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", REQUESTS[2]!],
    ],
  ],
  [
    "C.4",
    4096,
    [
      ["828684418cf1e3c2e5f23a6ba0ab90f4ff", REQUESTS[0]!],
      ["828684be5886a8eb10649cbf", REQUESTS[1]!],
      ["828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", REQUESTS[2]!],
    ],
  ],
  [
    "C.5",
    256,
    [
      [
        "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54" +
          "6e1768747470733a2f2f7777772e6578616d706c652e636f6d",
        RESPONSE_ONE,
      ],
      ["4803333037c1c0bf", RESPONSE_TWO],
      [
        "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738" +
          "666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b" +
          "2076657273696f6e3d31",
        RESPONSE_THREE,
      ],
    ],
  ],
  [
    "C.6",
    256,
    [
      [
        "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff" +
          "6e919d29ad171863c78f0b97c8e9ae82ae43d3",
        RESPONSE_ONE,
      ],
      ["4883640effc1c0bf", RESPONSE_TWO],
      [
        "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b39" +
          "60d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
        RESPONSE_THREE,
      ],
    ],
  ],
];

for (const [section, tableBytes, blocks] of EXAMPLES) {
  test(`decoder: RFC 7541 ${section} -> the lists that stand there`, () => {
    const decoder = fresh(tableBytes);
    for (const [block, fields] of blocks) assert.deepEqual(decoder.decode(bytes(block)).fields, fields);
  });
}

test("decoder: a block of indexes again -> the same list, until the table changes", () => {
  const decoder = fresh();
  decoder.decode(bytes(EXAMPLES[4]![2][0]![0]));
  const first = decoder.decode(bytes("828684be"));
  assert.equal(decoder.decode(bytes("828684be")), first);
  decoder.decode(bytes("400161 0162"));
  assert.deepEqual(decoder.decode(bytes("828684be")).fields.slice(6), ["a", "b"]);
});

const BROKEN: readonly (readonly [string, string])[] = [
  ["index 0", "80"],
  ["index beyond both tables", "be"],
  ["an integer that does not end", "ffffffffff"],
  ["an integer of more than 28 bits", "ff8080808001"],
  ["an integer that is cut off", "ff"],
  ["a string longer than the block", "4003616263 0a61"],
  ["a string without a length", "400161"],
  ["a name that is cut off", "40"],
  ["a table size beyond the setting", "3fe2ff03"],
  ["a table size update behind a field", "8220"],
  ["Huffman padding of 8 bits", "4001618 21fff".replace(/ /g, "")],
  ["Huffman padding that is not ones", "400161 8118"],
  ["Huffman with the end of string", "400161 84ffffffff"],
];
for (const [what, block] of BROKEN) {
  test(`decoder: ${what} -> COMPRESSION_ERROR`, () => {
    assert.throws(
      () => fresh().decode(bytes(block)),
      (error) => error instanceof ConnectionFault && error.code === "COMPRESSION_ERROR",
    );
  });
}

test("decoder: one large entry named again and again -> a list that is cut at its limit", () => {
  const decoder = fresh(4096, 10_000);
  const value = "v".repeat(1500);
  const insert = new HpackEncoder().encode(["user-agent", value]).slice();
  assert.equal(decoder.decode(insert).isCut, false);
  const list = decoder.decode(new Uint8Array(50).fill(0xbe));
  assert.equal(list.isCut, true);
  assert.equal(list.fields.length, 2 * Math.floor(10_000 / (10 + 1500 + 32)));
  const bomb = new Uint8Array(20_000).fill(0xbe);
  assert.throws(
    () => decoder.decode(bomb),
    (error) =>
      error instanceof ConnectionFault &&
      error.code === "ENHANCE_YOUR_CALM" &&
      error.message === "a header list of 80184 bytes and more (at most 10000 are taken)",
  );
});

test("decoder: an entry larger than the table -> empties it", () => {
  const decoder = fresh(64);
  assert.deepEqual(decoder.decode(bytes("4001610162")).fields, ["a", "b"]);
  assert.deepEqual(decoder.decode(bytes("be")).fields, ["a", "b"]);
  const large = new HpackEncoder().encode(["te", "x".repeat(100)]);
  decoder.decode(large);
  assert.throws(() => decoder.decode(bytes("be")));
});

describe("encoder", () => {
  test("a list that comes again -> indexes alone, in the same bytes each time", () => {
    const encoder = new HpackEncoder();
    const decoder = fresh();
    const list = new KeptList([":status", "200", "content-type", "application/grpc"]);
    const blocks = [1, 2, 3].map(() => {
      const block = encoder.encodeKept(list, []).slice();
      assert.deepEqual(decoder.decode(block).fields, list.fields);
      return hex(block);
    });
    assert.equal(blocks[1], "88be");
    assert.equal(blocks[2], "88be");
  });

  test("fields that differ each time -> behind the kept ones, and not in the table", () => {
    const encoder = new HpackEncoder();
    const decoder = fresh();
    const list = new KeptList([":path", "/s/m", "te", "trailers"]);
    for (let i = 0; i < 5; i++) {
      const extra = ["grpc-timeout", `${i}S`];
      assert.deepEqual(decoder.decode(encoder.encodeKept(list, extra)).fields, [...list.fields, ...extra]);
    }
  });

  test("the peer's table becomes small, and large again -> both sizes are said, and lists stay right", () => {
    const encoder = new HpackEncoder();
    const decoder = fresh();
    const list = new KeptList(["content-type", "application/grpc", "te", "trailers"]);
    for (const sizes of [[], [0, 4096], [50], [0], [4096, 100, 3000]]) {
      for (const size of sizes) encoder.limitTable(size);
      for (let i = 0; i < 3; i++)
        assert.deepEqual(decoder.decode(encoder.encodeKept(list, [])).fields, list.fields);
    }
  });

  test("a table of the peer of no bytes -> nothing is inserted", () => {
    const encoder = new HpackEncoder();
    encoder.limitTable(0);
    const decoder = fresh(0);
    const list = new KeptList(["content-type", "application/grpc"]);
    for (let i = 0; i < 3; i++)
      assert.deepEqual(decoder.decode(encoder.encodeKept(list, [])).fields, list.fields);
  });
});

test("Huffman: every byte -> itself again", () => {
  const text = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
  const coded = new Uint8Array(huffmanLength(text));
  assert.equal(encodeHuffman(text, coded, 0), coded.length);
  assert.equal(decodeHuffman(coded, 0, coded.length), text);
});
