// Stand-ins until the protocol package exports the real ones.
import { text, utf8 } from "@millrace/base";
import type { BrokerSpec, JournalSpec, Route } from "@millrace/protocol";

export const encodeJournalSpec = (spec: JournalSpec): Uint8Array => utf8(JSON.stringify(spec));
export const decodeJournalSpec = (bytes: Uint8Array): JournalSpec => JSON.parse(text(bytes)) as JournalSpec;
export const encodeBrokerSpec = (spec: BrokerSpec): Uint8Array => utf8(JSON.stringify(spec));
export const decodeBrokerSpec = (bytes: Uint8Array): BrokerSpec => JSON.parse(text(bytes)) as BrokerSpec;
export const encodeRoute = (route: Route): Uint8Array => utf8(JSON.stringify({ ...route, endpoints: [] }));
export const decodeRoute = (bytes: Uint8Array): Route => JSON.parse(text(bytes)) as Route;

export function keyOf(plain: string): string {
  return String.fromCharCode(...utf8(plain));
}
export function textOf(key: string): string {
  return text(Uint8Array.from(key, (c) => c.charCodeAt(0)));
}
export function prefixEnd(key: string): string {
  return key.slice(0, -1) + String.fromCharCode(key.charCodeAt(key.length - 1) + 1);
}
