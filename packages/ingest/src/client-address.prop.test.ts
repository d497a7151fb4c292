// Whatever a client writes into the headers, the proxies write who sent it behind that: this is found, or, when a proxy
// did not say, nothing that the client wrote.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { formatAddress, parseAddress, parseNetwork, text } from "@millrace/base";
import { clientAddress, clientPeer, type ForwardedValues } from "./client-address.ts";

const TRUSTED = [parseNetwork("10.0.0.0/8"), parseNetwork("fd00::/8")];
const PEER = clientPeer("10.1.2.3", TRUSTED);

const proxy = fc.oneof(
  fc.tuple(fc.nat(255), fc.nat(255)).map(([a, b]) => `10.0.${a}.${b}`),
  fc.nat(0xffff).map((group) => `fd00::${group.toString(16)}`),
);
/** Addresses that are no proxies'. */
const client = fc.oneof(fc.ipV4(), fc.ipV6()).filter((address) => {
  const parsed = formatAddress(parseAddress(address)!);
  return !/^(?:10\.|fd)/.test(parsed);
});
/** What a client may send as a line: anything printable, and most of all what looks like the real thing. */
const forged = fc.array(
  fc.oneof(
    fc.string(),
    fc.string({
      unit: fc.constantFrom("for=", '"', "[", "]", ",", ";", "\\", " ", "6.6.6.6", "10.0.0.1", "::", ":"),
    }),
    client,
    proxy,
  ),
  { maxLength: 4 },
);

function found(values: Partial<ForwardedValues>): string {
  return text(clientAddress(PEER, TRUSTED, () => ({ xForwardedFor: [], forwarded: [], ...values })));
}

/** Lines as proxies leave them: each adds itself behind what came, in the same line or in one of its own. */
function lines(before: readonly string[], added: readonly string[], isJoined: boolean): string[] {
  return isJoined && before.length > 0 ? [[...before, ...added].join(", ")] : [...before, ...added];
}

const chain = fc.record({
  before: forged,
  from: client,
  proxies: fc.array(proxy, { maxLength: 5 }),
  isJoined: fc.boolean(),
});

describe("client address", () => {
  test("X-Forwarded-For: anything, the client, proxies -> the client", () => {
    fc.assert(
      fc.property(chain, ({ before, from, proxies, isJoined }) => {
        const xForwardedFor = lines(before, [from, ...proxies], isJoined);
        assert.equal(found({ xForwardedFor, forwarded: before }), formatAddress(parseAddress(from)!));
      }),
    );
  });

  test("Forwarded: anything, the client, proxies -> the client", () => {
    const node = (address: string): string =>
      address.includes(":") ? `for="[${address}]:1"` : `for=${address}`;
    fc.assert(
      fc.property(chain, ({ before, from, proxies, isJoined }) => {
        const forwarded = lines(before, [from, ...proxies].map(node), isJoined);
        assert.equal(found({ forwarded }), formatAddress(parseAddress(from)!));
      }),
    );
  });

  test("a proxy that says no address -> the proxy before it, never what stands left of that", () => {
    fc.assert(
      fc.property(chain, fc.constantFrom("unknown", "_x", "", "proxy.example", "1.2.3"), (given, word) => {
        const { before, from, proxies, isJoined } = given;
        const xForwardedFor = lines([...before, from], [word, ...proxies], isJoined);
        const expected = proxies[0] === undefined ? "10.1.2.3" : formatAddress(parseAddress(proxies[0])!);
        assert.equal(found({ xForwardedFor }), expected);
      }),
    );
  });
});
