import assert from "node:assert/strict";
import { test } from "node:test";
import { parseNetwork, text } from "@millrace/base";
import { clientAddress, clientPeer, type ForwardedValues } from "./client-address.ts";

const TRUSTED = ["10.0.0.0/8", "fd00::/8", "192.0.2.1"].map(parseNetwork);

function client(peer: string, values: Partial<ForwardedValues>): string {
  return text(
    clientAddress(clientPeer(peer, TRUSTED), TRUSTED, () => ({
      xForwardedFor: [],
      forwarded: [],
      ...values,
    })),
  );
}

const LISTS: readonly [what: string, lines: readonly string[], expected: string][] = [
  ["one address", ["203.0.113.7"], "203.0.113.7"],
  ["what the client has forged, and then its own", ["6.6.6.6, 203.0.113.7"], "203.0.113.7"],
  ["proxies behind the client", ["6.6.6.6,203.0.113.7 , 10.1.1.1,\tfd00::1"], "203.0.113.7"],
  ["several lines", ["6.6.6.6", "203.0.113.7", "10.1.1.1"], "203.0.113.7"],
  ["proxies alone: the one that is farthest", ["10.3.3.3, 10.2.2.2"], "10.3.3.3"],
  ["a port", ["203.0.113.7:4711"], "203.0.113.7"],
  ["IPv6", ["2001:DB8:0::7"], "2001:db8::7"],
  ["IPv6 in brackets, with a port", ["[2001:db8::7]:4711, [fd00::1]"], "2001:db8::7"],
  ["IPv4 in IPv6", ["::ffff:203.0.113.7, ::ffff:10.2.2.2"], "203.0.113.7"],
  ["no address at all: the peer", ["unknown"], "10.1.2.3"],
  ["no address behind good ones: the last that is good", ["6.6.6.6, nonsense, 10.2.2.2"], "10.2.2.2"],
  ["an empty element, an empty header", ["6.6.6.6,", ""], "10.1.2.3"],
  ["a path, a script, quotes", ['"203.0.113.7"', "<b>", "../..", "10.4.4.4"], "10.4.4.4"],
];

for (const [what, lines, expected] of LISTS) {
  test(`client address: X-Forwarded-For with ${what} -> ${expected}`, () => {
    assert.equal(client("10.1.2.3", { xForwardedFor: lines }), expected);
  });
}

const ELEMENTS: readonly [what: string, lines: readonly string[], expected: string][] = [
  ["one element", ["for=203.0.113.7;proto=https;by=10.1.2.3"], "203.0.113.7"],
  ["IPv6, quoted, any case", ['proto=https; FOR="[2001:db8::7]:4711"'], "2001:db8::7"],
  ["what the client has forged", ["for=6.6.6.6, for=203.0.113.7", "for=10.1.1.1"], "203.0.113.7"],
  ["a quote that the client left open", ['for="6.6.6.6', "for=203.0.113.7"], "203.0.113.7"],
  ["the same, in one line", ['for="6.6.6.6, for=203.0.113.7'], "203.0.113.7"],
  ["an obfuscated node", ["for=203.0.113.7, for=_hidden"], "10.1.2.3"],
  ["no node", ["for=203.0.113.7, proto=https"], "10.1.2.3"],
  ["two nodes in one element", ["for=6.6.6.6;for=203.0.113.7"], "10.1.2.3"],
];

for (const [what, lines, expected] of ELEMENTS) {
  test(`client address: Forwarded with ${what} -> ${expected}`, () => {
    assert.equal(client("10.1.2.3", { forwarded: lines }), expected);
  });
}

test("client address: both headers -> X-Forwarded-For alone counts, also when it has no address", () => {
  const forwarded = ["for=6.6.6.6"];
  assert.equal(client("10.1.2.3", { xForwardedFor: ["203.0.113.7"], forwarded }), "203.0.113.7");
  assert.equal(client("10.1.2.3", { xForwardedFor: ["unknown"], forwarded }), "10.1.2.3");
});

test("client address: a peer that is no trusted proxy -> its own address, and its headers are not looked at", () => {
  const values = (): never => assert.fail("looked at");
  for (const [peer, expected] of [
    ["203.0.113.9", "203.0.113.9"],
    ["::ffff:203.0.113.9", "203.0.113.9"],
    ["2001:db8::9", "2001:db8::9"],
    ["192.0.2.2", "192.0.2.2"],
    ["", ""],
  ] as const)
    assert.equal(text(clientAddress(clientPeer(peer, TRUSTED), TRUSTED, values)), expected);
  assert.equal(text(clientAddress(clientPeer("10.1.2.3", []), [], values)), "10.1.2.3");
});

test("client address: a trusted peer over an IPv6 socket, with a zone -> trusted", () => {
  for (const peer of ["::ffff:10.1.2.3", "fd00::1%eth0", "192.0.2.1"])
    assert.equal(client(peer, { xForwardedFor: ["203.0.113.7"] }), "203.0.113.7");
});

test("client address: more proxies in a row than there can be -> the last that was looked at", () => {
  const hops = Array.from({ length: 100 }, (_, i) => `10.0.0.${i}`);
  assert.equal(client("10.1.2.3", { xForwardedFor: ["203.0.113.7", ...hops] }), "10.0.0.68");
  assert.equal(client("10.1.2.3", { xForwardedFor: [`203.0.113.7,${hops.join(",")}`] }), "10.0.0.68");
});

test("client address: an element of a megabyte -> not looked at; what stands behind it counts", () => {
  const long = " ".repeat(1024 * 1024);
  assert.equal(client("10.1.2.3", { xForwardedFor: [`203.0.113.7,${long}`] }), "10.1.2.3");
  assert.equal(client("10.1.2.3", { xForwardedFor: [`${long}203.0.113.7, 10.4.4.4`] }), "10.4.4.4");
  assert.equal(client("10.1.2.3", { forwarded: [`for=${long}, for=203.0.113.7`] }), "203.0.113.7");
});
