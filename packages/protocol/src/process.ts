// Who serves: process identities and the specs that members announce.
//
//   ProcessSpec  1 id ProcessId · 2 endpoint string
//   ProcessId    1 zone string · 2 suffix string
//   BrokerSpec   1 process_spec ProcessSpec · 2 journal_limit uint32 · 3 exiting bool · 1001 holder string (ours:
//                Gazette's brokers skip it)
import { bool, codecs, invalid, mapped, message, nested, string, uint32, within } from "@millrace/protobuf";
import { parseUrl, type UrlParts } from "./go-url.ts";
import { JOURNAL_LIMIT_MAX, SUFFIX_BYTES, ZONE_BYTES } from "./limits.ts";
import { compareText } from "./text-order.ts";
import { validateToken } from "./token.ts";

/** Identity of a process: its failure domain, and a name unique in it. Ordered by (zone, suffix). */
export interface ProcessId {
  readonly zone: string;
  readonly suffix: string;
}

export interface ProcessSpec {
  readonly id: ProcessId;
  /** URL that others dial, e.g. `http://host:8080` or `unix://host/path`. */
  readonly endpoint: string;
}

/** What a broker announces of itself. On the wire `id` and `endpoint` are nested in a ProcessSpec. */
export interface BrokerSpec extends ProcessSpec {
  /** Most journals it takes. */
  readonly journalLimit: number;
  /** Draining: wants to hand over everything it has. */
  readonly exiting: boolean;
  /** Id of its data directory, by which lists of holders name it (durability.md D10); "": a broker that keeps none. */
  readonly holder: string;
}

interface WireBrokerSpec {
  readonly processSpec: ProcessSpec;
  readonly journalLimit: number;
  readonly exiting: boolean;
  readonly holder: string;
}

export const processIdMessage = message<ProcessId>({ zone: string(1), suffix: string(2) });

export const processSpecMessage = message<ProcessSpec>({
  id: nested(1, processIdMessage),
  endpoint: string(2),
});

const brokerSpecMessage = mapped<WireBrokerSpec, BrokerSpec>(
  message<WireBrokerSpec>({
    processSpec: nested(1, processSpecMessage),
    journalLimit: uint32(2),
    exiting: bool(3),
    holder: string(1001),
  }),
  ({ id, endpoint, ...own }) => ({ processSpec: { id, endpoint }, ...own }),
  ({ processSpec, ...own }) => ({ ...processSpec, ...own }),
);

export const { encode: encodeBrokerSpec, decode: decodeBrokerSpec } = codecs(brokerSpecMessage);

/** Order of members: by zone, then suffix. */
export function compareProcessIds(a: ProcessId, b: ProcessId): number {
  return compareText(a.zone, b.zone) || compareText(a.suffix, b.suffix);
}

export function equalProcessIds(a: ProcessId, b: ProcessId): boolean {
  return a.zone === b.zone && a.suffix === b.suffix;
}

/** @throws {ValidationError} */
export function validateProcessId(id: ProcessId): void {
  within("Zone", () => validateToken(id.zone, ZONE_BYTES));
  within("Suffix", () => validateToken(id.suffix, SUFFIX_BYTES));
}

/** @throws {ValidationError} */
export function validateBrokerSpec(spec: BrokerSpec): void {
  within("Id", () => validateProcessId(spec.id));
  within("Endpoint", () => validateEndpoint(spec.endpoint));
  if (spec.journalLimit > JOURNAL_LIMIT_MAX) {
    invalid(
      `invalid JournalLimit (${spec.journalLimit}; expected 0 <= JournalLimit <= ${JOURNAL_LIMIT_MAX})`,
    );
  }
}

/** An absolute URL with a host. @throws {ValidationError} */
export function validateEndpoint(endpoint: string): void {
  parseEndpoint(endpoint);
}

/** The address to dial: `host:port` with the scheme's default port, or `unix:///path`. @throws {ValidationError} */
export function dialAddress(endpoint: string): string {
  const { scheme, host, path } = parseEndpoint(endpoint);
  if (scheme === "unix") return `unix://${path}`;
  const hasPort = /:[0-9]+$/.test(host);
  if (hasPort) return host;
  if (scheme === "https") return `${host}:443`;
  if (scheme === "http") return `${host}:80`;
  return host;
}

function parseEndpoint(endpoint: string): UrlParts {
  const url = parseUrl(endpoint);
  if (url.scheme === "") invalid(`not absolute: ${endpoint}`);
  if (url.host === "") invalid(`missing host: ${endpoint}`);
  return url;
}
