// Who sent a request that proxies have passed on: the right-most address of X-Forwarded-For that is no trusted proxy,
// or of Forwarded (RFC 7239) when the request has no X-Forwarded-For.
//
// F1 Only what a trusted proxy has written is believed: the headers of another peer are not looked at, and what stands
//    left of the first address that is no trusted proxy came from there.
// F2 What is no address (`unknown`, `_hidden`, a name) ends the walk: the client is the last address that was good.
// F3 At most HOPS_MAX nodes of NODE_CHARS_MAX characters are looked at, however long the headers are.
// F4 An element of Forwarded is cut at any comma: one inside quotes leaves no good node, and so does a quote that a
//    client left open, which would otherwise swallow what a proxy has written behind it.
import {
  formatAddress,
  isInNetwork,
  parseAddress,
  utf8,
  type IpAddress,
  type IpNetwork,
} from "@millrace/base";

/** The other end of a connection. */
export interface ClientPeer {
  /** As it is shown: IPv4 over an IPv6 socket is IPv4. */
  readonly address: Uint8Array;
  readonly isTrusted: boolean;
}

/** Values of the two headers, line by line in their order. */
export interface ForwardedValues {
  readonly xForwardedFor: readonly string[];
  readonly forwarded: readonly string[];
}

/** Proxies in a row: nobody has so many. */
const HOPS_MAX = 32;
/** An element of Forwarded has its other parameters (by, host, proto) too. */
const NODE_CHARS_MAX = 1024;

/** @param address as the socket says it; empty for a Unix socket, whose peer is never trusted */
export function clientPeer(address: string, trusted: readonly IpNetwork[]): ClientPeer {
  const parsed = trusted.length === 0 ? undefined : parseAddress(address.replace(/%.*$/, ""));
  const isTrusted = parsed !== undefined && isIn(parsed, trusted);
  return { address: utf8(address.replace(/^::ffff:(?=[0-9.]+$)/, "")), isTrusted };
}

/** The client's address, as text in bytes. */
export function clientAddress(
  peer: ClientPeer,
  trusted: readonly IpNetwork[],
  values: () => ForwardedValues,
): Uint8Array {
  if (!peer.isTrusted) return peer.address; // F1
  const { xForwardedFor, forwarded } = values();
  const found =
    xForwardedFor.length > 0 ? walk(xForwardedFor, nodeOf, trusted) : walk(forwarded, forOf, trusted);
  return found === undefined ? peer.address : utf8(formatAddress(found));
}

function walk(
  lines: readonly string[],
  addressIn: (element: string) => IpAddress | undefined,
  trusted: readonly IpNetwork[],
): IpAddress | undefined {
  let client: IpAddress | undefined;
  let hops = 0;
  for (let at = lines.length - 1; at >= 0; at--) {
    const line = lines[at]!;
    let end = line.length;
    while (end >= 0) {
      const from = Math.max(0, end - NODE_CHARS_MAX);
      const comma = line.slice(from, end).lastIndexOf(",");
      if (++hops > HOPS_MAX || (comma < 0 && from > 0)) return client; // F3
      const address = addressIn(line.slice(comma < 0 ? 0 : from + comma + 1, end).trim());
      if (address === undefined) return client; // F2
      client = address;
      if (!isIn(address, trusted)) return client;
      end = comma < 0 ? -1 : from + comma;
    }
  }
  return client;
}

/** `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`, the first and the last with or without a port. */
function nodeOf(element: string): IpAddress | undefined {
  const node = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{1,5})?$/.exec(element);
  return parseAddress(node?.[1] ?? node?.[2] ?? element);
}

/** Of an element of Forwarded, which may have a `for`, one at most. F4 */
function forOf(element: string): IpAddress | undefined {
  const nodes = element.split(";").flatMap((pair) => /^for=(.*)$/i.exec(pair.trim())?.[1] ?? []);
  const [node] = nodes;
  if (node === undefined || nodes.length > 1) return undefined;
  return nodeOf(/^"([^"\\]*)"$/.exec(node)?.[1] ?? node);
}

function isIn(address: IpAddress, networks: readonly IpNetwork[]): boolean {
  return networks.some((network) => isInNetwork(address, network));
}
