// The Huffman code of HPACK (RFC 7541 appendix B). The code is canonical: codes of one length follow each other in the
// order of their symbols, so the lengths say everything. Decoding goes by half bytes through a table of states; no code
// is shorter than five bits, so half a byte ends at most one symbol.

/** Length in bits of the code of each byte, and of the end of string (256). */
const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28,
  28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7,
  8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19,
  13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
  28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21,
  22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23,
  22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25,
  25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
const END_OF_STRING = 256;
const CODES = canonicalCodes();

/** Of a transition: the next state, whether a symbol ended, which, and whether that is no valid string. */
const STATE_MASK = 0x1ff;
const HAS_SYMBOL = 0x200;
const SYMBOL_SHIFT = 10;
const FAILS = 0x40000;
/** By state * 16 + half byte. A string may end in a state that only padding (fewer than 8 ones) leads to. */
const { transitions: TRANSITIONS, mayEnd: MAY_END } = buildMachine();

let decoded = new Uint8Array(256);

/** The string that `bytes[begin, end)` encodes, a character a byte; undefined when it is malformed. */
export function decodeHuffman(bytes: Uint8Array, begin: number, end: number): string | undefined {
  // No code is shorter than five bits.
  const most = Math.floor(((end - begin) * 8) / 5);
  if (decoded.length < most) decoded = new Uint8Array(most);
  let state = 0;
  let length = 0;
  for (let at = begin; at < end; at++) {
    const byte = bytes[at]!;
    let step = TRANSITIONS[(state << 4) | (byte >> 4)]!;
    if ((step & HAS_SYMBOL) !== 0) decoded[length++] = (step >> SYMBOL_SHIFT) & 0xff;
    const fails = step & FAILS;
    step = TRANSITIONS[((step & STATE_MASK) << 4) | (byte & 15)]!;
    if (((step | fails) & FAILS) !== 0) return undefined;
    if ((step & HAS_SYMBOL) !== 0) decoded[length++] = (step >> SYMBOL_SHIFT) & 0xff;
    state = step & STATE_MASK;
  }
  return MAY_END[state] === 1 ? latin1(decoded, 0, length) : undefined;
}

/** Bytes of `text` (a byte a character) when encoded. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let at = 0; at < text.length; at++) bits += CODE_BITS[text.charCodeAt(at) & 0xff]!;
  return (bits + 7) >> 3;
}

/** Writes the code of `text` at `to`, where there must be room. @returns where it ends */
export function encodeHuffman(text: string, bytes: Uint8Array, to: number): number {
  let held = 0;
  let heldBits = 0;
  let at = to;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    let bits = CODE_BITS[symbol]!;
    const code = CODES[symbol]!;
    // At most 7 bits are held and a code has up to 28: in two steps, since numbers have 32 bits here.
    if (bits > 20) {
      held = (held << (bits - 16)) | (code >>> 16);
      heldBits += bits - 16;
      for (; heldBits >= 8; heldBits -= 8) bytes[at++] = (held >>> (heldBits - 8)) & 0xff;
      bits = 16;
    }
    held = ((held & 0xff) << bits) | (code & ((1 << bits) - 1));
    heldBits += bits;
    for (; heldBits >= 8; heldBits -= 8) bytes[at++] = (held >>> (heldBits - 8)) & 0xff;
  }
  if (heldBits > 0) bytes[at++] = ((held << (8 - heldBits)) | (0xff >>> heldBits)) & 0xff;
  return at;
}

/** A character for each byte. */
export function latin1(bytes: Uint8Array, begin: number, end: number): string {
  let text = "";
  for (let at = begin; at < end; at += 4096) {
    const piece = bytes.subarray(at, Math.min(end, at + 4096));
    text += String.fromCharCode.apply(undefined, piece as unknown as number[]);
  }
  return text;
}

function canonicalCodes(): Uint32Array {
  const symbols = CODE_BITS.map((_bits, symbol) => symbol);
  symbols.sort((a, b) => CODE_BITS[a]! - CODE_BITS[b]! || a - b);
  const codes = new Uint32Array(CODE_BITS.length);
  let code = 0;
  let bits = CODE_BITS[symbols[0]!]!;
  for (const symbol of symbols) {
    code *= 2 ** (CODE_BITS[symbol]! - bits);
    bits = CODE_BITS[symbol]!;
    codes[symbol] = code++;
  }
  return codes;
}

/** States are the inner nodes of the tree of codes; 0 is its root. */
function buildMachine(): { transitions: Uint32Array; mayEnd: Uint8Array } {
  // A child is a node (> 0) or a symbol, as its complement (< 0).
  const children: [number, number][] = [[0, 0]];
  for (let symbol = 0; symbol <= END_OF_STRING; symbol++) {
    let node = 0;
    for (let bit = CODE_BITS[symbol]! - 1; bit >= 0; bit--) {
      const side = (CODES[symbol]! >>> bit) & 1;
      if (bit === 0) children[node]![side] = ~symbol;
      else {
        if (children[node]![side] === 0) children[node]![side] = children.push([0, 0]) - 1;
        node = children[node]![side]!;
      }
    }
  }
  const transitions = new Uint32Array(children.length * 16);
  for (let state = 0; state < children.length; state++) {
    for (let half = 0; half < 16; half++) transitions[state * 16 + half] = walk(children, state, half);
  }
  const mayEnd = new Uint8Array(children.length);
  let node = 0;
  for (let ones = 0; ones < 8; ones++) {
    mayEnd[node] = 1;
    node = children[node]![1];
  }
  return { transitions, mayEnd };
}

function walk(children: readonly [number, number][], from: number, half: number): number {
  let node = from;
  let found = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = children[node]![((half >> bit) & 1) as 0 | 1];
    if (next >= 0) node = next;
    else if (~next === END_OF_STRING) return FAILS;
    else {
      found = HAS_SYMBOL | (~next << SYMBOL_SHIFT);
      node = 0;
    }
  }
  return node | found;
}
