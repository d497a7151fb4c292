// Addresses of IPv4 and IPv6, and networks of them: texts, groups, and who is in what.
//
// A1 An address has one value and one text: what is IPv4 inside IPv6 (`::ffff:192.0.2.1`) is IPv4.
// A2 What others may read as another address is none: leading zeros in IPv4 (octal?), zones of IPv6 (`%eth0`).
import { WireError } from "./errors.ts";

/** Groups of 16 bits: two of IPv4, eight of IPv6. */
export type IpAddress = readonly number[];

/** The addresses whose first `bits` bits are those of `base`, whose other bits are 0. */
export interface IpNetwork {
  readonly base: IpAddress;
  readonly bits: number;
}

const GROUP_BITS = 16;
const GROUPS = 8;
/** `0000:0000:0000:0000:0000:ffff:255.255.255.255` */
const ADDRESS_CHARS_MAX = 45;
/** Bits before an IPv4 address inside IPv6. */
const MAPPED_BITS = 96;

/** @returns undefined for what is no address; bounded work whatever `text` is */
export function parseAddress(text: string): IpAddress | undefined {
  if (text.length > ADDRESS_CHARS_MAX) return undefined;
  const groups = text.includes(":") ? groupsOf6(text) : groupsOf4(text);
  return groups !== undefined && isMapped(groups) ? groups.slice(6) : groups;
}

/** IPv4 in dotted decimals; IPv6 as RFC 5952 has it. */
export function formatAddress(address: IpAddress): string {
  if (address.length < GROUPS) return address.flatMap((group) => [group >> 8, group & 0xff]).join(".");
  const { begin, end } = longestZeros(address);
  const texts = address.map((group) => group.toString(16));
  if (end - begin < 2) return texts.join(":");
  return `${texts.slice(0, begin).join(":")}::${texts.slice(end).join(":")}`;
}

/**
 * An address, or a network as `10.0.0.0/8`.
 * @throws {WireError} INVALID_ARGUMENT
 */
export function parseNetwork(text: string): IpNetwork {
  const [host = "", length, ...more] = text.split("/");
  const base = more.length === 0 ? parseAddress(host) : undefined;
  if (base === undefined)
    throw invalid(`"${text}" is not an address or a network such as 10.0.0.0/8 or fd00::/8`);
  const bitsMax = base.length * GROUP_BITS;
  if (length === undefined) return { base, bits: bitsMax };
  const skipped = base.length < GROUPS && host.includes(":") ? MAPPED_BITS : 0;
  const bits = /^\d{1,3}$/.test(length) ? Number(length) - skipped : Number.NaN;
  if (!(bits >= 0 && bits <= bitsMax)) {
    const bounds = `${skipped} <= length <= ${bitsMax + skipped}`;
    throw invalid(`"${text}": a network's length of ${length} is out of range (${bounds})`);
  }
  const network = { base: base.map((group, i) => group & maskOf(bits - i * GROUP_BITS)), bits };
  if (!isInNetwork(base, { base: network.base, bits: bitsMax }))
    throw invalid(`"${text}" has bits behind its length (expected ${formatNetwork(network)})`);
  return network;
}

export function formatNetwork({ base, bits }: IpNetwork): string {
  const text = formatAddress(base);
  return bits === base.length * GROUP_BITS ? text : `${text}/${bits}`;
}

/** No IPv4 address is in a network of IPv6, `::/0` included, and none of IPv6 in one of IPv4. */
export function isInNetwork(address: IpAddress, { base, bits }: IpNetwork): boolean {
  if (address.length !== base.length) return false;
  return base.every((group, i) => (address[i]! & maskOf(bits - i * GROUP_BITS)) === group);
}

/** Of a group of which the first `bits` count, any number. */
function maskOf(bits: number): number {
  return 0xffff & ~(0xffff >> Math.min(Math.max(bits, 0), GROUP_BITS));
}

function groupsOf4(text: string): IpAddress | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part))) return undefined; // A2
  const [a, b, c, d] = parts.map(Number) as [number, number, number, number];
  return Math.max(a, b, c, d) > 255 ? undefined : [(a << 8) | b, (c << 8) | d];
}

function groupsOf6(text: string): IpAddress | undefined {
  const [first = "", second, ...more] = text.split("::");
  const head = groupsOfHalf(first, second === undefined);
  if (head === undefined || more.length > 0) return undefined;
  if (second === undefined) return head.length === GROUPS ? head : undefined;
  const tail = groupsOfHalf(second, true);
  if (tail === undefined || head.length + tail.length >= GROUPS) return undefined;
  return [...head, ...Array<number>(GROUPS - head.length - tail.length).fill(0), ...tail];
}

/** What stands before or behind `::`. @param isLast it may end with an IPv4 address */
function groupsOfHalf(half: string, isLast: boolean): readonly number[] | undefined {
  const groups: number[] = [];
  if (half === "") return groups;
  const parts = half.split(":");
  for (const [i, part] of parts.entries()) {
    const isIpv4 = isLast && i === parts.length - 1 && part.includes(".");
    const found = isIpv4
      ? groupsOf4(part)
      : /^[0-9a-fA-F]{1,4}$/.test(part)
        ? [Number(`0x${part}`)]
        : undefined;
    if (found === undefined) return undefined;
    groups.push(...found);
  }
  return groups;
}

function isMapped(groups: IpAddress): boolean {
  return groups.length === GROUPS && groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
}

/** The first of the longest runs. */
function longestZeros(groups: IpAddress): { readonly begin: number; readonly end: number } {
  let longest = { begin: 0, end: 0 };
  for (let begin = 0; begin < groups.length; begin++) {
    let end = begin;
    while (groups[end] === 0) end++;
    if (end - begin > longest.end - longest.begin) longest = { begin, end };
  }
  return longest;
}

function invalid(message: string): WireError {
  return new WireError("INVALID_ARGUMENT", message);
}
