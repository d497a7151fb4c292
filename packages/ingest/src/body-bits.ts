// Scanning four bytes at a time: bits that say which of them mean something in JSON or CSV. Unlike a loop over bytes it
// does not stumble over every quote.

/**
 * For four bytes read little-endian: zero when none of them is a quote; else the lowest set bit lies in the first
 * quote (bits above it mean nothing).
 */
export function quoteBits(word: number): number {
  const quote = word ^ 0x22222222;
  return (quote - 0x01010101) & ~quote & 0x80808080;
}

/** The same for all bytes that end a run of plain string bytes: `"`, `\`, below 0x20, from 0x80 on. */
export function specialBits(word: number): number {
  const quote = word ^ 0x22222222;
  const backslash = word ^ 0x5c5c5c5c;
  return (
    (((quote - 0x01010101) & ~quote) | ((backslash - 0x01010101) & ~backslash) | (word - 0x20202020) | word) &
    0x80808080
  );
}

/** Which of the four bytes (0..3) the lowest set bit of `bits` lies in. */
export function firstByteOf(bits: number): number {
  return (31 - Math.clz32(bits & -bits)) >> 3;
}
