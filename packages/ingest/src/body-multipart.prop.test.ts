// multipart/form-data against the reader of the runtime (Response.formData): what it writes is read here, and what both
// read they read as the same fields, whatever was done to the body.
import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { text, utf8 } from "@millrace/base";
import fc from "fast-check";

import { boundaryOf, decodeMultipart, MULTIPART_LIMITS } from "./body-multipart.ts";
import { decodeForm, FormFields, type FormOutcome } from "./body-form.ts";

const BOUNDARY = "b0undary";
const TYPE = `multipart/form-data; boundary=${BOUNDARY}`;
const part = (head: string, value: string): string => `--${BOUNDARY}\r\n${head}\r\n\r\n${value}\r\n`;
const named = (name: string, value: string): string =>
  part(`Content-Disposition: form-data; name="${name}"`, value);
const END = `--${BOUNDARY}--\r\n`;

function read(body: string): unknown {
  const outcome = decodeMultipart(utf8(body), BOUNDARY);
  return outcome.kind === "json" ? JSON.parse(text(outcome.bytes)) : outcome.reason;
}

function jsonOf(entries: Iterable<readonly [string, string]>): string {
  const fields = new FormFields();
  for (const [name, value] of entries) fields.add(name, value);
  return text(fields.json());
}

/** What the runtime reads; undefined when it refuses. */
async function oracle(body: Uint8Array, type: string): Promise<string | undefined> {
  try {
    const response = new Response(body, { headers: { "content-type": type } });
    const entries = [...(await response.formData())];
    if (entries.some(([, value]) => typeof value !== "string")) return undefined;
    return jsonOf(entries as [string, string][]);
  } catch {
    return undefined;
  }
}

/**
 * A body without what RFC 2046 and RFC 2183 allow and the runtime refuses: the boundary's text in a value, where it is
 * no delimiter; no blank before a parameter; a parameter that is a token, without quotes.
 */
function asRuntimeKnows(body: string): string {
  return body
    .replace(/(?<!(?:^|\r\n)--)b0undary/g, "b0undaRy")
    .replace(/(: form-data;)[ \t]*(name=)/gi, "$1 $2")
    .replace(/(: form-data; name=)([A-Za-z0-9!#$%&'*+.^_`|~-]+)/gi, '$1"$2"');
}

describe("multipart", () => {
  test("fields -> JSON, nested keys as in other forms; the last of a name counts", () => {
    assert.deepEqual(
      read(named("a", "1") + named("k[x]", "é") + named("l[]", "1") + named("l[]", "2") + END),
      {
        a: "1",
        k: { x: "é" },
        l: ["1", "2"],
      },
    );
    assert.deepEqual(read(named("a", "1") + named("a", "") + named("q%22%0d%0A", "\r\n--b0") + END), {
      a: "",
      'q"\r\n': "\r\n--b0",
    });
    assert.deepEqual(read(END), {});
  });

  test("what the RFCs allow and the runtime refuses -> is read, and never as another field", async () => {
    const disposition = (parameters: string, value: string): string =>
      part(`Content-Disposition: form-data;${parameters}`, value) + END;
    const cases: [what: string, body: string, fields: object][] = [
      // RFC 2046, 5.1.1: a delimiter is a line end, two hyphens and the boundary, and nothing less.
      ["the boundary's text in a value", named("a", `x${BOUNDARY}`) + END, { a: `x${BOUNDARY}` }],
      ["with one hyphen", named("a", `\r\n-${BOUNDARY}`) + END, { a: `\r\n-${BOUNDARY}` }],
      // RFC 2183, 2 and RFC 5322, 3.2.2: blanks between parameters are free to be there.
      ["no blank before the name", disposition('name="a"', "1"), { a: "1" }],
      // RFC 2183, 2 and RFC 2045, 5.1: a value is a token or a quoted string.
      ["a name without quotes", disposition(" name=-", "1"), { "-": "1" }],
    ];
    for (const [what, body, fields] of cases) {
      assert.deepEqual(read(body), fields, what);
      const known = asRuntimeKnows(body);
      assert.equal(await oracle(utf8(known), TYPE), JSON.stringify(read(known)), what);
    }
  });

  const refused: [name: string, body: string, reason: string][] = [
    ["nothing", "", "it does not begin with its boundary"],
    ["a preamble", `x\r\n${END}`, "it does not begin with its boundary"],
    ["an epilogue", `${END}x`, "something stands behind its last boundary"],
    ["no end", named("a", "1"), "part 1 has no end"],
    ["the boundary in a line", named("a", `x--${BOUNDARY}`) + END, "part 1 has the boundary in a line"],
    ["cut in a value", named("a", "1").slice(0, -2), "part 1 has no end"],
    [
      "a longer line that begins like the boundary",
      `--${BOUNDARY}x\r\n`,
      "boundary 1 is not followed by a line end",
    ],
    ["a file", part('Content-Disposition: form-data; name="f"; filename="x"', "1") + END, "part 1 is a file"],
    [
      "a file's other name",
      part("Content-Disposition: form-data; name=f; filename*=UTF-8''x", "1") + END,
      "part 1 is a file",
    ],
    ["no name", part("Content-Type: text/plain", "1") + END, "part 1 has no name"],
    [
      "two names",
      part('Content-Disposition: form-data; name="a"; name="b"', "1") + END,
      "part 1 has no name",
    ],
    [
      "another disposition",
      part('Content-Disposition: attachment; name="a"', "1") + END,
      "part 1 has no name",
    ],
    [
      "a malformed header",
      part('Content-Disposition: form-data; name="a"\r\nx', "1") + END,
      "part 1 has a malformed header",
    ],
    [
      "a transfer encoding",
      part('Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64', "MQ==") + END,
      'part 1 has the transfer encoding "base64"',
    ],
    ["a long head", part(`X: ${"x".repeat(5000)}`, "1") + END, "part 1 has no head of up to 4096 bytes"],
    ["many headers", part(`${"X: 1\r\n".repeat(16)}X: 1`, "1") + END, "part 1 has more than 16 headers"],
    ["a long name", named("n".repeat(1025), "1") + END, "part 1 has a name of more than 1024 bytes"],
    ["many parts", named("a", "1").repeat(MULTIPART_LIMITS.parts + 1) + END, "it has more than 1000 parts"],
    ["deep keys", named(`a${"[b]".repeat(40)}`, "1") + END, "keys nested deeper than 32"],
  ];
  for (const [name, body, reason] of refused) {
    test(`${name} -> refused`, () => assert.equal(read(body), reason));
  }

  test("bytes that are no text -> refused, in a value and in a name", () => {
    const bytes = Buffer.from(named("a", "\u00ff") + END, "latin1");
    assert.deepEqual(decodeMultipart(bytes, BOUNDARY), { kind: "invalid", reason: "part 1 is not UTF-8" });
  });

  test("boundaries of content types", () => {
    const cases: [type: string, boundary: string | undefined][] = [
      [TYPE, BOUNDARY],
      ['multipart/form-data; charset=utf-8; BOUNDARY="a b:c"', "a b:c"],
      ["multipart/form-data", undefined],
      ["multipart/form-data; boundary=", undefined],
      ["multipart/form-data; boundary=a; boundary=b", undefined],
      ['multipart/form-data; boundary="a "', undefined],
      [`multipart/form-data; boundary=${"a".repeat(71)}`, undefined],
      ['multipart/form-data; boundary="a\\"b"', undefined],
    ];
    for (const [type, boundary] of cases) assert.equal(boundaryOf(type), boundary, type);
  });

  test("what the runtime writes -> the same fields", async () => {
    const name = fc.oneof(
      fc.constantFrom("a", "a[b]", "a[]", 'q"', "x\r\ny", "é", "%22"),
      fc.string({ unit: "binary", maxLength: 8 }).filter((each) => !/[\p{Cc}\p{Cs}\\]/u.test(each)),
    );
    const value = fc.oneof(
      fc.string({ maxLength: 40 }),
      fc.constantFrom("", "--", "\r\n", "\r\n--", "a\r\n\r\nb", "--b0undary", "é\u{1f600}"),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 6 }), async (entries) => {
        const form = new FormData();
        for (const [each, given] of entries) form.append(each, given);
        const response = new Response(form);
        const type = response.headers.get("content-type") ?? "";
        const body = new Uint8Array(await response.arrayBuffer());
        const outcome = decodeMultipart(body, boundaryOf(type)!);
        const wanted = await oracle(body, type);
        assert.ok(wanted !== undefined, "the runtime reads what it writes");
        assert.deepEqual(outcome, { kind: "json", bytes: utf8(wanted) } satisfies FormOutcome);
      }),
      { numRuns: 200 },
    );
  });

  test("bodies that were cut, glued and changed -> never a crash, and nothing is read in two ways", async () => {
    const piece = fc.oneof(
      {
        weight: 4,
        arbitrary: fc
          .tuple(fc.constantFrom("a", "b[c]", "d[]"), fc.string({ maxLength: 9 }))
          .map(([n, v]) => named(n, v)),
      },
      fc.constantFrom(
        END,
        "\r\n",
        "--",
        `--${BOUNDARY}`,
        `\r\n--${BOUNDARY}\r\n`,
        '; name="x"',
        ": ",
        '"',
        "x",
        "\0",
        "\n",
      ),
    );
    const changed = fc.tuple(
      fc.array(piece, { maxLength: 8 }),
      fc.nat(),
      fc.nat(4),
      fc.constantFrom("", "x", '"', "\r\n", "-"),
    );
    await fc.assert(
      fc.asyncProperty(changed, async ([pieces, at, cut, glue]) => {
        const whole = pieces.join("") + END;
        const from = at % whole.length;
        const body = utf8(whole.slice(0, from) + glue + whole.slice(from + cut));
        const outcome = decodeMultipart(body, BOUNDARY);
        if (outcome.kind === "invalid") return;
        const wanted = await oracle(body, TYPE);
        if (wanted !== undefined) return assert.equal(text(outcome.bytes), wanted);
        // What is right and the runtime does not know; without it, it reads the same.
        const plain = utf8(asRuntimeKnows(text(body)));
        const known = decodeMultipart(plain, BOUNDARY);
        assert.ok(known.kind === "json", "it is still read here");
        assert.equal(text(known.bytes), (await oracle(plain, TYPE)) ?? "refused by the runtime");
      }),
      { numRuns: 500 },
    );
  });
});

test("url-encoded bodies: any text -> JSON or a reason, never a crash, and values as URLSearchParams has them", () => {
  const body = fc.oneof(
    fc.string({ maxLength: 60 }),
    fc
      .array(fc.constantFrom("a", "[", "]", "=", "&", "%", "%41", "+", "é", "__proto__", "0"), {
        maxLength: 20,
      })
      .map((all) => all.join("")),
  );
  fc.assert(
    fc.property(body, (given) => {
      const outcome = decodeForm(given);
      if (outcome.kind === "invalid") return;
      const entries = [...new URLSearchParams(given.replace(/^\?/, "%3F"))];
      assert.equal(text(outcome.bytes), jsonOf(entries));
    }),
    { numRuns: 1500 },
  );
});
