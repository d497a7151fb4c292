import assert from "node:assert/strict";
import { test } from "node:test";
import { concatBytes, hex, InvariantError, unhex, utf8, WireError } from "@millrace/base";
import {
  binary,
  bool,
  builder,
  bytes,
  bytesList,
  codecs,
  DECODED_ITEMS_MAX,
  enumeration,
  enumerations,
  exactInt64,
  fixed32,
  fixed64Hex,
  int32,
  int64,
  jsonCodecs,
  mapped,
  message,
  named,
  nested,
  optional,
  optionalBytes,
  recursive,
  repeated,
  string,
  strings,
  textOf,
  uint32,
  uint64,
  uint64s,
  type Message,
} from "./index.ts";

const COLOUR = { RED: 0, GREEN: 1, BLUE: 7 } as const;
type Colour = keyof typeof COLOUR;

interface Leaf {
  readonly name: string;
}
const leaf: Message<Leaf> = message<Leaf>({ name: string(1) });

/** One row of each kind. */
interface Every {
  readonly text: string;
  readonly texts: readonly string[];
  readonly key: string;
  readonly yes: boolean;
  readonly small: number;
  readonly unsigned: number;
  readonly offset: number;
  readonly bound: number;
  readonly id: bigint;
  readonly big: bigint;
  readonly bigs: readonly bigint[];
  readonly fixed: string;
  readonly fixedSmall: number;
  readonly colour: Colour;
  readonly colours: readonly Colour[];
  readonly blob: Uint8Array;
  readonly content?: Uint8Array;
  readonly blobs: readonly Uint8Array[];
  readonly inner: Leaf;
  readonly maybe?: Leaf;
  readonly leaves: readonly Leaf[];
  readonly self?: Every;
}
const every: Message<Every> = message<Every>({
  text: string(1),
  texts: strings(2),
  key: binary(3),
  yes: bool(4),
  small: int32(5),
  unsigned: uint32(6),
  offset: int64(7),
  bound: int64(8, "saturate"),
  id: named("ID", exactInt64(9)),
  big: uint64(10),
  bigs: uint64s(11),
  fixed: fixed64Hex(12),
  fixedSmall: fixed32(13),
  colour: enumeration(14, COLOUR, "colour"),
  colours: enumerations(15, COLOUR, "colour"),
  blob: bytes(16),
  content: optionalBytes(17),
  blobs: bytesList(18),
  inner: nested(19, leaf),
  maybe: optional(20, leaf),
  leaves: repeated(21, leaf),
  self: optional(
    22,
    recursive<Every>(() => every),
  ),
});
const { encode, decode } = codecs(every);
const { toJson, fromJson } = jsonCodecs(every);
const newEvery = builder(every);

const FULL: Every = {
  text: "\ufeffgr\u00fc\u00df",
  texts: ["", "b"],
  key: "\0\x7f\x80\xff",
  yes: true,
  small: -1,
  unsigned: 2 ** 32 - 1,
  offset: -(2 ** 53) + 1,
  bound: 2 ** 53 - 1,
  id: -(1n << 63n),
  big: (1n << 64n) - 1n,
  bigs: [0n, 1n, 1n << 63n],
  fixed: "0102030405060708",
  fixedSmall: 0xdeadbeef,
  colour: "BLUE",
  colours: ["GREEN", "RED", "BLUE"],
  blob: utf8("blob"),
  content: utf8("content"),
  blobs: [utf8("one"), new Uint8Array(0)],
  inner: { name: "inner" },
  maybe: { name: "" },
  leaves: [{ name: "a" }, { name: "" }],
  self: newEvery({ text: "nested" }),
};

function refusal(check: () => unknown): string {
  try {
    check();
  } catch (thrown) {
    if (thrown instanceof WireError && thrown.code === "INVALID_ARGUMENT") return thrown.message;
    throw thrown;
  }
  return "";
}

test("every kind of row: bytes and JSON -> the same value", () => {
  assert.deepEqual(decode(encode(FULL)), FULL);
  assert.deepEqual(fromJson(JSON.parse(JSON.stringify(toJson(FULL)))), FULL);
  assert.deepEqual(decode(new Uint8Array(0)), newEvery({}));
  assert.equal(hex(encode(newEvery({}))), "9a0100", "only `nested` is written when it is zero");
});

test("every kind of row: bytes, as protobuf has them", () => {
  const hexOf = (fields: Partial<Every>): string => hex(encode(newEvery(fields))).replace(/9a0100$/, "");
  assert.equal(hexOf({ key: "\x80a" }), "1a028061");
  assert.equal(hexOf({ small: -1 }), "28ffffffffffffffffff01");
  assert.equal(hexOf({ id: -2n }), "48feffffffffffffffff01");
  assert.equal(hexOf({ bigs: [1n, 300n] }), "5a0301ac02");
  assert.equal(hexOf({ colours: ["GREEN", "BLUE"] }), "7a020107");
  assert.equal(hex(encode(newEvery({ blobs: [utf8("a"), utf8("")] }))), "92010161" + "920100" + "9a0100");
  assert.throws(() => encode(newEvery({ key: "\u0100" })), InvariantError);
  assert.throws(() => encode(newEvery({ id: 1n << 63n })), InvariantError);
});

test("numbers of a repeated field: packed, one by one or both -> all of them", () => {
  const mixed = unhex("5a0201" + "02" + "5803" + "5a0104" + "7801" + "7a0107")!;
  const { bigs, colours } = decode(mixed);
  assert.deepEqual(
    [bigs, colours],
    [
      [1n, 2n, 3n, 4n],
      ["GREEN", "BLUE"],
    ],
  );
  assert.equal(
    refusal(() => decode(unhex("5a02" + "0180")!)),
    "bigs: truncated varint",
  );
  assert.equal(
    refusal(() => decode(unhex("5d00000000")!)),
    "bigs: wrong wire type (5; expected 2)",
  );
  assert.equal(
    refusal(() => decode(unhex("7a0105")!)),
    "colours: invalid colour (5)",
  );
});

test("decode: nests deeper than the bound -> refused, not a full stack", () => {
  const layers = (count: number): Uint8Array => {
    let bytes: Uint8Array = new Uint8Array(0);
    for (let i = 0; i < count; i++) {
      bytes = concatBytes([Uint8Array.from([0xb2, 0x01, ...lengthPrefix(bytes.length)]), bytes]);
    }
    return bytes;
  };
  assert.equal(
    refusal(() => decode(layers(64))),
    "",
  );
  assert.match(
    refusal(() => decode(layers(65))),
    /^(self\.)+self: messages nest too deeply \(expected <= 64\)$/,
  );
  assert.match(
    refusal(() => decode(layers(2000))),
    /messages nest too deeply/,
  );
});

function lengthPrefix(length: number): number[] {
  const digits: number[] = [];
  for (let left = length; ; left >>>= 7) {
    if (left < 0x80) return [...digits, left];
    digits.push((left & 0x7f) | 0x80);
  }
}

test("decode: packed items count for the bound of items", () => {
  const body = new Uint8Array(DECODED_ITEMS_MAX + 1).fill(1);
  const packed = concatBytes([Uint8Array.from([0x5a, ...lengthPrefix(body.length)]), body]);
  assert.match(
    refusal(() => decode(packed)),
    /^bigs: too many items in one message/,
  );
});

test("mapped: another shape in memory, the same on the wire", () => {
  const upper = mapped(
    leaf,
    (name: string) => ({ name: name.toLowerCase() }),
    ({ name }) => name.toUpperCase(),
  );
  const own = codecs(upper);
  assert.equal(own.decode(own.encode("NAME")), "NAME");
  assert.deepEqual(codecs(leaf).decode(own.encode("NAME")), { name: "name" });
});

test("text: rows with something in them, messages that are always there", () => {
  const value = newEvery({ key: "\xff", id: 5n, colours: ["GREEN"], self: newEvery({}) });
  assert.equal(textOf(every, value, "compact"), 'key:"\\377" ID:5 colours:GREEN inner:<> self:<inner:<> > ');
});

test("JSON: names of the definitions or of the mapping; what does not fit -> refused", () => {
  assert.equal(fromJson({ fixed_small: 7 }).fixedSmall, 7);
  assert.equal(fromJson({ fixedSmall: 7 }).fixedSmall, 7);
  assert.equal(fromJson({ ID: "-5" }).id, -5n);
  const refused: readonly (readonly [json: unknown, text: string])[] = [
    [[], "expected a JSON object"],
    [{ other: 1 }, 'unknown field "other"'],
    [{ key: "?" }, "key: not valid base64"],
    [{ bigs: 1 }, "bigs: expected a JSON array"],
    [{ bigs: ["-1"] }, "bigs: value out of range (-1; expected 0 <= value <= 18446744073709551615)"],
    [{ colours: ["PINK"] }, "colours: invalid colour (PINK)"],
  ];
  for (const [json, text] of refused)
    assert.equal(
      refusal(() => fromJson(json)),
      text,
    );
});
