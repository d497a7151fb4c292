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
  double,
  doubles,
  enumeration,
  enumerations,
  exactInt64,
  fixed32,
  fixed64,
  fixed64Hex,
  fixed64s,
  hexId,
  int32,
  int64,
  jsonCodecs,
  mapped,
  message,
  named,
  nested,
  openEnumeration,
  optional,
  optionalBytes,
  present,
  recursive,
  repeated,
  sint32,
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
  readonly nanos: bigint;
  readonly counts: readonly bigint[];
  readonly scale: number;
  readonly ratio: number;
  readonly ratios: readonly number[];
  readonly trace: string;
  readonly level: number;
  readonly asText?: string;
  readonly asYes?: boolean;
  readonly asInt?: bigint;
  readonly asFixed?: bigint;
  readonly asRatio?: number;
  readonly asBytes?: Uint8Array;
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
  nanos: fixed64(23),
  counts: fixed64s(24),
  scale: sint32(25),
  ratio: double(26),
  ratios: doubles(27),
  trace: hexId(28, 4),
  level: openEnumeration(29, COLOUR, "colour"),
  asText: present.string(30),
  asYes: present.bool(31),
  asInt: present.exactInt64(32),
  asFixed: present.sfixed64(33),
  asRatio: present.double(34),
  asBytes: present.bytes(35),
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
  nanos: (1n << 64n) - 1n,
  counts: [0n, 1n << 63n],
  scale: -(2 ** 31),
  ratio: -0.1,
  ratios: [0, -0, Number.MIN_VALUE, Number.POSITIVE_INFINITY, Number.NaN],
  trace: "00ff00a1",
  level: 5,
  asText: "",
  asYes: false,
  asInt: 0n,
  asFixed: -(1n << 63n),
  asRatio: 0,
  asBytes: new Uint8Array(0),
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
  // JSON.stringify has no -0.
  const positive = { ...FULL, ratios: FULL.ratios.map((ratio) => ratio + 0) };
  assert.deepEqual(fromJson(JSON.parse(JSON.stringify(toJson(FULL)))), positive);
  assert.deepEqual(decode(new Uint8Array(0)), newEvery({}));
  assert.equal(hex(encode(newEvery({}))), "9a0100", "only `nested` is written when it is zero");
});

test("every kind of row: bytes, as protobuf has them", () => {
  const hexOf = (fields: Partial<Every>): string => hex(encode(newEvery(fields))).replace("9a0100", "");
  assert.equal(hexOf({ key: "\x80a" }), "1a028061");
  assert.equal(hexOf({ small: -1 }), "28ffffffffffffffffff01");
  assert.equal(hexOf({ id: -2n }), "48feffffffffffffffff01");
  assert.equal(hexOf({ nanos: 1n << 56n }), "b9010000000000000001");
  assert.equal(hexOf({ counts: [1n] }), "c201080100000000000000");
  assert.equal(hexOf({ scale: -1 }) + hexOf({ scale: 1 }), "c80101" + "c80102");
  assert.equal(hexOf({ ratio: 1 }) + hexOf({ ratio: -0 }), "d101000000000000f03f" + "d1010000000000000080");
  assert.equal(hexOf({ trace: "00ff00a1" }), "e2010400ff00a1");
  assert.equal(hexOf({ level: 99 }), "e80163");
  assert.equal(hexOf({ asText: "", asYes: false }), "f20100" + "f80100");
  assert.equal(hexOf({ asFixed: -2n }), "8902feffffffffffffff");
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
    "Colours[0]: invalid colour (5)",
  );
});

interface Either {
  readonly name: string;
  readonly text?: string;
  readonly leaf?: Leaf;
}
const either = message<Either>(
  { name: string(1), text: present.string(2), leaf: optional(3, leaf) },
  { oneofs: [["text", "leaf"]], unknownJson: "ignore" },
);

test("a oneof: the last one on the wire -> is there alone; two in JSON -> refused", () => {
  const { decode: read, encode: write } = codecs(either);
  const text = write({ name: "", text: "a" });
  const leafBytes = write({ name: "n", leaf: { name: "b" } });
  assert.deepEqual(read(concatBytes([text, leafBytes])), { name: "n", leaf: { name: "b" } });
  assert.deepEqual(read(concatBytes([leafBytes, text])), { name: "n", text: "a" });
  assert.deepEqual(either.fromJson({ text: null, leaf: {} }), { name: "", leaf: { name: "" } });
  assert.equal(
    refusal(() => either.fromJson({ text: "", leaf: {} })),
    "more than one value of a oneof",
  );
});

test("JSON of a message that ignores unknown names -> without them", () => {
  assert.deepEqual(either.fromJson({ other: { deep: 1 }, name: "n" }), { name: "n" });
});

test("ids, open enums and doubles that do not fit -> refused", () => {
  const refused: readonly (readonly [json: unknown, text: string])[] = [
    [{ trace: "0" }, "trace: not hex digits"],
    [{ trace: "zz" }, "trace: not hex digits"],
    [{ trace: "00" }, "trace: wrong length (1 bytes; expected 4 or none)"],
    [{ level: "PINK" }, "level: invalid colour (PINK)"],
    [
      { level: 2 ** 31 },
      "level: value out of range (2147483648; expected -2147483648 <= value <= 2147483647)",
    ],
    [{ ratio: "1e" }, "ratio: expected a number"],
    [{ ratio: "" }, "ratio: expected a number"],
    [{ asInt: 1.5 }, "asInt: expected an integer"],
  ];
  for (const [json, text] of refused) {
    assert.equal(
      refusal(() => fromJson(json)),
      text,
    );
  }
  assert.equal(
    refusal(() => decode(unhex("e201" + "0100")!)),
    "trace: wrong length (1 bytes; expected 4 or none)",
  );
  assert.equal(fromJson({ level: "BLUE" }).level, 7);
  assert.equal(fromJson({ level: "-3" }).level, -3);
  assert.equal(fromJson({ ratio: "-1.5e3" }).ratio, -1500);
  assert.equal(fromJson({ ratio: 2n ** 60n }).ratio, 2 ** 60);
  assert.equal(fromJson({ asInt: 2n ** 60n }).asInt, 2n ** 60n);
  assert.equal(fromJson({ trace: "AB00cd01" }).trace, "ab00cd01");
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
