// The texts of gRPC: timeouts, statuses, messages, metadata, and addresses of channels.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HeaderList } from "./hpack-decoder.ts";
import { decodeBinaryValue, encodeBinaryValue, metadataOf, pushMetadata } from "./metadata.ts";
import { decodeStatusMessage, encodeStatusMessage, parseStatusCode, STATUS_CODES } from "./status.ts";
import { targetOf } from "./target.ts";
import { formatTimeout, parseTimeout } from "./timeout.ts";

/** ASCII, controls and `%` among it, what UTF-8 has in two to four bytes, and half a pair of surrogates. */
const anyCharacter = fc.oneof(
  fc.nat(127).map((code) => String.fromCharCode(code)),
  fc.constantFrom("%", "%4", "ü", "€", "😀", "\ud800"),
);

test("grpc-timeout: each unit -> milliseconds; anything else -> nothing", () => {
  const parsed = {
    "1H": 3_600_000,
    "2M": 120_000,
    "3S": 3000,
    "4m": 4,
    "5000u": 5,
    "6000000n": 6,
    "99999999m": 99_999_999,
  };
  for (const [value, ms] of Object.entries(parsed))
    assert.ok(Math.abs(parseTimeout(value)! - ms) < 1e-6, value);
  for (const value of ["", "1", "m", "123456789m", "-1S", "1.5S", "1s", "1 S", " 1S"]) {
    assert.equal(parseTimeout(value), undefined, value);
  }
});

test("grpc-timeout: any time -> a text that means it or a little more, never less", () => {
  fc.assert(
    fc.property(fc.double({ min: 0.001, max: 1e13, noNaN: true }), (ms) => {
      const text = formatTimeout(ms);
      const back = parseTimeout(text);
      assert.ok(
        back !== undefined && back >= Math.min(ms, 99_999_999 * 3_600_000) * (1 - 1e-9),
        `${ms} ${text}`,
      );
      assert.ok(back <= ms * 1.0001 + 0.0011, `${ms} ${text}`);
    }),
  );
});

test("grpc-status: numbers -> codes; unknown numbers -> UNKNOWN; no number -> nothing", () => {
  for (const [name, number] of Object.entries(STATUS_CODES)) assert.equal(parseStatusCode(`${number}`), name);
  assert.equal(parseStatusCode("17"), "UNKNOWN");
  for (const value of ["", "x", "-1", "1e3", "9999999999"]) assert.equal(parseStatusCode(value), undefined);
});

test("grpc-message: any text -> printable ASCII without spaces around it, and itself again, or its begin", () => {
  const spaced = fc.tuple(
    fc.constantFrom("", " ", "  "),
    fc.string({ unit: anyCharacter }),
    fc.constantFrom("", " "),
  );
  fc.assert(
    fc.property(spaced, fc.nat(20), (parts, charsMax) => {
      const text = parts.join("");
      const encoded = encodeStatusMessage(text, 10_000);
      assert.match(encoded, /^(?:[!-~](?:[ -~]*[!-~])?)?$/);
      assert.equal(decodeStatusMessage(encoded), Buffer.from(text).toString());
      const cut = encodeStatusMessage(text, charsMax);
      assert.ok(cut.length <= charsMax);
      assert.match(cut, /^(?:[!-~](?:[ -~]*[!-~])?)?$/);
      assert.ok(encoded.startsWith(cut) || cut.endsWith("%20"), `${encoded}: ${cut}`);
      assert.doesNotMatch(cut, /%.?$/);
      decodeStatusMessage(text);
    }),
  );
  assert.equal(encodeStatusMessage("100% grün\n", 100), "100%25 gr%C3%BCn%0A");
  assert.equal(encodeStatusMessage(" a b ", 100), "%20a b%20");
  assert.equal(encodeStatusMessage("aü", 4), "a%C3");
  assert.equal(decodeStatusMessage("50%"), "50%");
  assert.equal(decodeStatusMessage("%zz%4"), "%zz%4");
});

test("metadata: what came in -> can be sent on; reserved names and what gRPC does not allow are left out", () => {
  const fields = [
    ...[
      ":path",
      "/x",
      "te",
      "trailers",
      "user-agent",
      "go",
      "a",
      "1",
      "a",
      "2",
      "x!y",
      "z",
      "b",
      "\xfc",
      "grpc-timeout",
      "1S",
    ],
  ];
  const metadata = metadataOf(new HeaderList(fields, false));
  assert.deepEqual(
    [...metadata],
    [
      ["user-agent", "go"],
      ["a", "1,2"],
    ],
  );
  const sent: string[] = [];
  pushMetadata(sent, metadata);
  assert.deepEqual(sent, ["a", "1,2"]);
  assert.throws(() => pushMetadata([], new Map([["A", "1"]])));
  assert.throws(() => pushMetadata([], new Map([["a", "1\n"]])));
});

test("metadata: binary values -> base64 without padding, and themselves again", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const value = encodeBinaryValue(bytes);
      assert.match(value, /^[A-Za-z0-9+/]*$/);
      assert.deepEqual(decodeBinaryValue(value), bytes);
      assert.deepEqual(decodeBinaryValue(Buffer.from(bytes).toString("base64")), bytes);
    }),
  );
  for (const value of ["a", "ä", "a=b", "===="]) assert.equal(decodeBinaryValue(value), undefined, value);
});

test("addresses: http, https and unix -> where they lead; others are refused", () => {
  const of = (address: string): unknown[] => {
    const { host, port, path, isTls, authority } = targetOf(address);
    return [host, port, path, isTls, authority];
  };
  assert.deepEqual(of("http://h:81"), ["h", 81, undefined, false, "h:81"]);
  assert.deepEqual(of("https://h"), ["h", 443, undefined, true, "h"]);
  assert.deepEqual(of("http://[::1]:9"), ["::1", 9, undefined, false, "[::1]:9"]);
  assert.deepEqual(of("unix:///run/a%20b"), ["", 0, "/run/a b", false, "localhost"]);
  assert.deepEqual(of("unix://broker/run/a"), ["", 0, "/run/a", false, "broker"]);
  for (const address of ["h:80", "ftp://h", "", "http://"])
    assert.throws(() => targetOf(address), { code: "INVALID_ARGUMENT" });
});
