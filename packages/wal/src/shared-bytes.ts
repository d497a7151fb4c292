// Bytes that the disk's threads can read without a copy, and how to copy them fast.
//
//  M1  `set` and `slice` of typed arrays copy shared memory word by word, and byte by byte where source and target are
//      not aligned alike, so that no word tears. The platform's own copy takes an eighth of that (64 KiB: 5 us, not
//      40). Whoever copies here owns both places until they are handed on.

/** Below it a call into the platform costs more than it saves. */
const NATIVE_BYTES_MIN = 128;
const { fill } = Buffer.prototype;

/** An op's bytes must not change until its run has ended, whatever memory they are in. */
export function sharedBytes(length: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(length));
}

/** Puts `bytes` into `target` at `at`; either may be shared. They do not overlap. */
export function copyInto(target: Uint8Array, at: number, bytes: Uint8Array): void {
  if (bytes.length < NATIVE_BYTES_MIN) target.set(bytes, at);
  // Filled with as many bytes as there are: once.
  else fill.call(target, bytes, at, at + bytes.length);
}
