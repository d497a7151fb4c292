import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress, formatNetwork, isInNetwork, parseAddress, parseNetwork } from "./ip-address.ts";

const TEXTS: readonly [given: string, canonical: string][] = [
  ["0.0.0.0", "0.0.0.0"],
  ["255.255.255.255", "255.255.255.255"],
  ["::", "::"],
  ["::1", "::1"],
  ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["2001:db8::", "2001:db8::"],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
  ["1:0:0:2:3:0:0:4", "1::2:3:0:0:4"],
  ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:c000:201", "192.0.2.1"],
];

for (const [given, canonical] of TEXTS) {
  test(`address: ${given} -> ${canonical}`, () => {
    assert.equal(formatAddress(parseAddress(given)!), canonical);
  });
}

test("address: what is none, or may be read as another one -> none", () => {
  const texts = [
    "",
    "unknown",
    "_hidden",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "01.2.3.4",
    "1.2.3.4 ",
    "0x1.2.3.4",
    "16909060",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    ":1:2:3:4:5:6:7",
    "12345::",
    "::g",
    "::1.2.3.4:5",
    "1.2.3.4::",
    "fe80::1%eth0",
    "[::1]",
    `::${"0".repeat(100_000)}1`,
  ];
  assert.deepEqual(
    texts.filter((text) => parseAddress(text) !== undefined),
    [],
  );
});

const MEMBERS: readonly [network: string, inside: readonly string[], outside: readonly string[]][] = [
  ["10.0.0.0/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], ["11.0.0.0", "9.255.255.255", "::a00:1"]],
  ["192.0.2.128/25", ["192.0.2.128", "192.0.2.255"], ["192.0.2.127", "192.0.3.128"]],
  ["192.0.2.1", ["192.0.2.1"], ["192.0.2.0", "::1"]],
  ["0.0.0.0/0", ["1.2.3.4"], ["::", "2001:db8::1"]],
  ["::/0", ["::", "2001:db8::1"], ["1.2.3.4", "::ffff:1.2.3.4"]],
  ["2001:db8:8000::/33", ["2001:db8:8000::", "2001:db8:ffff::1"], ["2001:db8:7fff::", "2001:db9:8000::"]],
  ["::1", ["0:0:0:0:0:0:0:1"], ["::", "::2"]],
  ["::ffff:10.0.0.0/104", ["10.9.9.9"], ["11.0.0.0"]],
];

for (const [text, inside, outside] of MEMBERS) {
  test(`network: ${text} -> who is in it`, () => {
    const network = parseNetwork(text);
    const isIn = (address: string): boolean => isInNetwork(parseAddress(address)!, network);
    assert.deepEqual([inside.filter((one) => !isIn(one)), outside.filter(isIn)], [[], []]);
  });
}

const REFUSED: readonly [text: string, message: RegExp][] = [
  ["proxy.example", /^"proxy\.example" is not an address or a network such as 10\.0\.0\.0\/8 or fd00::\/8$/],
  ["10.0.0.0/8/8", /is not an address/],
  ["10.0.0.0/33", /length of 33 is out of range \(0 <= length <= 32\)/],
  ["10.0.0.0/", /length of {2}is out of range/],
  ["fd00::/129", /\(0 <= length <= 128\)/],
  ["::ffff:10.0.0.0/95", /\(96 <= length <= 128\)/],
  ["10.0.0.1/8", /^"10\.0\.0\.1\/8" has bits behind its length \(expected 10\.0\.0\.0\/8\)$/],
];

for (const [text, message] of REFUSED) {
  test(`network: ${text} -> refused, with what is expected`, () => {
    assert.throws(() => parseNetwork(text), { code: "INVALID_ARGUMENT", message });
  });
}

test("network: shown as it may be given again", () => {
  const texts = ["10.0.0.0/8", "192.0.2.1", "0.0.0.0/0", "fd00::/8", "::1"];
  assert.deepEqual(
    texts.map((text) => formatNetwork(parseNetwork(text))),
    texts,
  );
});
