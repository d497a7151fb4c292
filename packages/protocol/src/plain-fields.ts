// Fields of messages, written by hand into bytes that have room for them; each returns where it ended.

/** Left out when it is 0. @param tag of one byte @param value an integer in [0, 2^53) */
export function intField(out: Uint8Array, at: number, tag: number, value: number): number {
  if (value === 0) return at;
  out[at] = tag;
  return varint(out, at + 1, value);
}

/** Left out when it is 0. @param tag of two bytes @param value an integer in [0, 2^53) */
export function wideIntField(out: Uint8Array, at: number, tag: number, value: number): number {
  return value === 0 ? at : varint(out, varint(out, at, tag), value);
}

/** @param tag of one byte */
export function bytesField(out: Uint8Array, at: number, tag: number, value: Uint8Array): number {
  out[at] = tag;
  const begin = varint(out, at + 1, value.length);
  out.set(value, begin);
  return begin + value.length;
}

/** @param value an integer in [0, 2^53) */
export function varint(out: Uint8Array, at: number, value: number): number {
  let rest = value;
  while (rest >= 0x80) {
    out[at++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  out[at] = rest;
  return at + 1;
}
