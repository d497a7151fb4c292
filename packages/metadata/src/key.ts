// Keys of the coordination store: binary strings, one char per byte, so that the order of JavaScript strings is the
// byte order that etcd uses, and a key is a Map key without hashing bytes.
import { text, utf8 } from "@millrace/base";
import type { Key } from "./coordination.ts";

/** As the `end` of a range: everything from its key on. As the `key` of a range: the whole store. */
export const EVERYTHING: Key = "\0";

/** The key of `plain`: its UTF-8 bytes, one char each. */
export function keyOf(plain: string): Key {
  if (isAscii(plain)) return plain;
  let key = "";
  for (const byte of utf8(plain)) key += String.fromCharCode(byte);
  return key;
}

/** The text whose UTF-8 bytes `key` holds; malformed sequences become U+FFFD. */
export function textOf(key: Key): string {
  if (isAscii(key)) return key;
  return text(bytesOfKey(key));
}

/**
 * The `end` of the range of all keys that start with `key`: `key` with its last byte below 0xff raised by one and what
 * follows cut; EVERYTHING if there is no such byte (as etcd's WithPrefix).
 */
export function prefixEnd(key: Key): Key {
  for (let at = key.length - 1; at >= 0; at--) {
    const byte = key.charCodeAt(at);
    if (byte < 0xff) return key.slice(0, at) + String.fromCharCode(byte + 1);
  }
  return EVERYTHING;
}

/** The range of all keys that start with `prefix`; of all keys if it is empty (a range's key must not be). */
export function prefixRange(prefix: Key): { readonly key: Key; readonly end: Key } {
  return { key: prefix === "" ? EVERYTHING : prefix, end: prefixEnd(prefix) };
}

/** Whether `key` lies in the range as a request names it. */
export function inRange(key: Key, range: { readonly key: Key; readonly end?: Key }): boolean {
  if (range.end === undefined) return key === range.key;
  return key >= range.key && (range.end === EVERYTHING || key < range.end);
}

export function bytesOfKey(key: Key): Uint8Array {
  const bytes = new Uint8Array(key.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = key.charCodeAt(i);
  return bytes;
}

export function keyOfBytes(bytes: Uint8Array): Key {
  let key = "";
  for (let at = 0; at < bytes.length; at += 4096) {
    key += String.fromCharCode(...bytes.subarray(at, at + 4096));
  }
  return key;
}

/** Whether every char of `key` is a byte. */
export function isKey(key: string): boolean {
  for (let i = 0; i < key.length; i++) if (key.charCodeAt(i) > 0xff) return false;
  return true;
}

function isAscii(plain: string): boolean {
  for (let i = 0; i < plain.length; i++) if (plain.charCodeAt(i) > 0x7f) return false;
  return true;
}
