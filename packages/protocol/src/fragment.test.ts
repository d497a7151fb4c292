import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { WireError } from "@millrace/base";
import { sha1 } from "./arbitraries-testkit.ts";
import { COMPRESSION_CODEC, type CompressionCodec } from "./enums.ts";
import { validateFragment, ZERO_SHA1, type Fragment } from "./fragment.ts";
import { codecOfExtension, contentName, contentPath, fragmentOfPath } from "./fragment-name.ts";
import { refusal } from "./refusal-testkit.ts";
import { fragment } from "./testkit.ts";

const STEM = "00000000499602d2-000000008bd07735-0102030405060708090a0b0c0d0e0f1011121314";
const MODEL = fragment({
  journal: "a/journal/name",
  begin: 1234567890,
  end: 2345695029,
  compressionCodec: "GZIP",
});

test("names: one for each codec, below journal and postfix", () => {
  const names: Readonly<Record<Exclude<CompressionCodec, "INVALID">, string>> = {
    NONE: `${STEM}.raw`,
    GZIP: `${STEM}.gz`,
    ZSTANDARD: `${STEM}.zst`,
    SNAPPY: `${STEM}.sz`,
    GZIP_OFFLOAD_DECOMPRESSION: STEM,
  };
  for (const [compressionCodec, name] of Object.entries(names)) {
    const named: Fragment = { ...MODEL, compressionCodec: compressionCodec as CompressionCodec };
    assert.equal(contentName(named), name);
    assert.equal(contentPath(named), `a/journal/name/${name}`);
    assert.equal(contentPath({ ...named, pathPostfix: "a=1/b=2" }), `a/journal/name/a=1/b=2/${name}`);
    assert.deepEqual(fragmentOfPath("a/journal/name", name), named);
  }
});

test("names: the published example", () => {
  const example = fragmentOfPath(
    "examples/foobar",
    "date=2019-01-01/00000000000004d2-000000000000162e-d370388fd4b4e5ef51e4de50a8df86f7e3e10ef6.sz",
  );
  assert.deepEqual([example.begin, example.end, example.pathPostfix], [1234, 5678, "date=2019-01-01"]);
  assert.equal(
    contentPath(example),
    "examples/foobar/date=2019-01-01/00000000000004d2-000000000000162e-d370388fd4b4e5ef51e4de50a8df86f7e3e10ef6.sz",
  );
});

test("parsing: postfixes, aliases of extensions, empty fragments", () => {
  assert.equal(fragmentOfPath("a/journal", `a=b/two=3/${STEM}.gz`).pathPostfix, "a=b/two=3");
  assert.equal(fragmentOfPath("a/journal", `a.b/${STEM}`).compressionCodec, "GZIP_OFFLOAD_DECOMPRESSION");
  const empty = fragmentOfPath("a/journal", `00000000499602d2-00000000499602d2-${ZERO_SHA1}.raw`);
  assert.deepEqual([empty.begin, empty.end, empty.sum], [1234567890, 1234567890, ZERO_SHA1]);
  const aliases = {
    ".GZ": "GZIP",
    ".gzip": "GZIP",
    ".zstandard": "ZSTANDARD",
    ".snappy": "SNAPPY",
    ".gzod": "GZIP_OFFLOAD_DECOMPRESSION",
  };
  for (const [extension, codec] of Object.entries(aliases)) assert.equal(codecOfExtension(extension), codec);
});

test("parsing: what is no fragment -> refused", () => {
  const cases: readonly (readonly [path: string, text: string])[] = [
    [`${STEM}-extra.gz`, `wrong Fragment format: ${STEM}-extra`],
    ["README", "wrong Fragment format: README"],
    [STEM.replace("02d2", "02XX"), 'Begin: strconv.ParseInt: parsing "00000000499602XX": invalid syntax'],
    [STEM.replace("7735", "77XX"), 'End: strconv.ParseInt: parsing "000000008bd077XX": invalid syntax'],
    [
      STEM.replace("000000008bd07735", "7fffffffffffffff"),
      'End: strconv.ParseInt: parsing "7fffffffffffffff": value out of range (expected < 2^53)',
    ],
    [STEM.replace("1314", "13XX"), "Sum: encoding/hex: invalid byte: U+0058 'X'"],
    [STEM.replace("1314", "131"), "Sum: encoding/hex: odd length hex string"],
    [STEM.replace("1314", "13"), "invalid SHA1Sum length: 0102030405060708090a0b0c0d0e0f10111213"],
    [`${STEM}.XXX`, "unrecognized compression extension: .XXX"],
    [
      `000000008bd07735-00000000499602d2-${ZERO_SHA1}.gz`,
      "expected Begin <= End (have 2345695029, 1234567890)",
    ],
    [`/${STEM}.gz`, "PathPostfix: must be a clean path ()"],
    [`./${STEM}.gz`, "PathPostfix: must be a clean path (.)"],
    [`../x/${STEM}.gz`, "PathPostfix: must be a clean path (../x)"],
    [`bad postfix/${STEM}.gz`, "PathPostfix: not a valid token (bad postfix)"],
  ];
  for (const [path, text] of cases)
    assert.equal(
      refusal(() => fragmentOfPath("a/journal", path)),
      text,
      path,
    );
});

test("validation: truth table", () => {
  const cases: readonly (readonly [fields: Partial<Fragment>, text: string])[] = [
    [{}, ""],
    [{ begin: 101 }, "expected Begin <= End (have 101, 100)"],
    [{ begin: -5, end: -5 }, ""],
    [{ journal: "a" }, "Journal: invalid length (1; expected 4 <= length <= 512)"],
    [{ journal: "a/journal;meta" }, ""],
    [{ compressionCodec: "INVALID" }, "CompressionCodec: invalid value (INVALID)"],
    [{ pathPostfix: "a=b/c=2" }, ""],
    [{ pathPostfix: "/a=b" }, "PathPostfix: cannot begin with '/' (/a=b)"],
    [{ pathPostfix: "x".repeat(513) }, "PathPostfix: invalid length (513; expected 0 <= length <= 512)"],
  ];
  for (const [fields, text] of cases)
    assert.equal(
      refusal(() => validateFragment(fragment(fields))),
      text,
    );
});

test("names: parsing a path gives the fragment back", () => {
  const codecs = (Object.keys(COMPRESSION_CODEC) as CompressionCodec[]).filter(
    (codec) => codec !== "INVALID",
  );
  const fragments = fc.record({
    span: fc.tuple(fc.maxSafeNat(), fc.maxSafeNat()).map(([a, b]) => (a < b ? [a, b] : [b, a])),
    compressionCodec: fc.constantFrom(...codecs),
    pathPostfix: fc.constantFrom("", "a", "a=1/b.c", "é/%20"),
    sum: sha1,
  });
  fc.assert(
    fc.property(fragments, ({ span, ...fields }) => {
      const value = fragment({ ...fields, begin: span[0]!, end: span[1]! });
      const path = contentPath(value);
      assert.ok(path.startsWith("a/journal/"));
      assert.deepEqual(fragmentOfPath("a/journal", path.slice("a/journal/".length)), value);
    }),
  );
});

test("parsing: any text -> a fragment or a WireError", () => {
  const pieces = fc.constantFrom("-", ".", "/", "0", "f", "X", ".gz", ZERO_SHA1, "0000000000000001");
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 10 }), (parts) => {
      try {
        validateFragment(fragmentOfPath("a/journal", parts.join("")));
      } catch (thrown) {
        assert.ok(thrown instanceof WireError);
      }
    }),
  );
});
