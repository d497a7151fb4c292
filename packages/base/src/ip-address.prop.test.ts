// node:net is the oracle of what is an address and who is in a network, the URL parser that of how IPv6 is written.
import assert from "node:assert/strict";
import { BlockList, isIP } from "node:net";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatAddress, formatNetwork, isInNetwork, parseAddress, parseNetwork } from "./ip-address.ts";

const address = fc.oneof(fc.ipV4(), fc.ipV6());
/** Nearly addresses. */
const text = fc.oneof(
  address,
  fc.string({ unit: fc.constantFrom("0", "1", "9", "f", "F", ":", "::", ".", "255", "%", "/", " ") }),
);

describe("addresses", () => {
  test("any text -> an address where node:net has one, zones aside", () => {
    fc.assert(
      fc.property(text, (given) => {
        fc.pre(!given.includes("%"));
        assert.equal(parseAddress(given) !== undefined, isIP(given) !== 0);
      }),
      { numRuns: 2000 },
    );
  });

  test("any address -> a text that has the same value, and is the URL parser's for IPv6", () => {
    fc.assert(
      fc.property(address, (given) => {
        const parsed = parseAddress(given)!;
        const canonical = formatAddress(parsed);
        assert.deepEqual(parseAddress(canonical), parsed);
        if (parsed.length === 8) assert.equal(new URL(`http://[${given}]/`).hostname, `[${canonical}]`);
      }),
    );
  });

  test("an address and a network -> in it where node:net says so", () => {
    const shared = fc
      .tuple(address, fc.nat(128), address)
      .map(([base, bits, other]) => ({ base, bits, other }));
    fc.assert(
      fc.property(shared, fc.boolean(), ({ base, bits, other }, isNear) => {
        const parsed = parseAddress(base)!;
        const family = parsed.length === 2 ? "ipv4" : "ipv6";
        const length = Math.min(bits, parsed.length * 16);
        const cut = parsed.map(
          (group, i) => group & (0xffff << Math.min(16, Math.max(0, 16 * (i + 1) - length))),
        );
        const network = parseNetwork(`${formatAddress(cut)}/${length}`);
        assert.deepEqual(parseNetwork(formatNetwork(network)), network);
        const asked = isNear ? parsed : parseAddress(other)!;
        fc.pre(asked.length === parsed.length);
        const list = new BlockList();
        list.addSubnet(formatAddress(cut), length, family);
        assert.equal(isInNetwork(asked, network), list.check(formatAddress(asked), family));
      }),
    );
  });
});
