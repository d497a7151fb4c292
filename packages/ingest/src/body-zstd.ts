// Frames of a zstd body (RFC 8878, 3.1.1): where each ends and how much it says to hold. Both decompressors at hand
// want one frame at a time, and to know beforehand how much room they may take.

export interface ZstdFrame {
  readonly begin: number;
  readonly end: number;
  readonly isSkippable: boolean;
  /** undefined: the frame does not say. */
  readonly contentBytes: number | undefined;
}

const NOT_WHOLE = "not whole frames";
const MAGIC = 0xfd2fb528;
const SKIPPABLE_FIRST = 0x184d2a50;
const SKIPPABLE_LAST = 0x184d2a5f;

/**
 * @param framesMax more are not looked at: each costs a call, however little it holds
 * @returns what is wrong when the bytes are not whole frames, one after another
 */
export function zstdFrames(bytes: Uint8Array, framesMax: number): readonly ZstdFrame[] | string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const frames: ZstdFrame[] = [];
  let at = 0;
  while (at < bytes.length) {
    const frame = at + 8 <= bytes.length ? frameAt(view, at) : undefined;
    if (frame === undefined || frame.end > bytes.length) return NOT_WHOLE;
    if (frames.length === framesMax) return `more than ${framesMax} frames`;
    frames.push(frame);
    at = frame.end;
  }
  return frames.length === 0 ? NOT_WHOLE : frames;
}

function frameAt(view: DataView, begin: number): ZstdFrame | undefined {
  const magic = view.getUint32(begin, true);
  if (magic >= SKIPPABLE_FIRST && magic <= SKIPPABLE_LAST) {
    return { begin, end: begin + 8 + view.getUint32(begin + 4, true), isSkippable: true, contentBytes: 0 };
  }
  if (magic !== MAGIC) return undefined;
  const descriptor = view.getUint8(begin + 4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const hasChecksum = (descriptor & 0x04) !== 0;
  if ((descriptor & 0x08) !== 0) return undefined; // reserved
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const sizeAt = begin + 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes;
  let at = sizeAt + sizeBytes;
  if (at > view.byteLength) return undefined;
  const contentBytes = readSize(view, sizeAt, sizeBytes);
  for (let isLast = false; !isLast;) {
    if (at + 3 > view.byteLength) return undefined;
    const header = view.getUint8(at) | (view.getUint8(at + 1) << 8) | (view.getUint8(at + 2) << 16);
    isLast = (header & 1) !== 0;
    const type = (header >> 1) & 3;
    if (type === 3) return undefined;
    at += 3 + (type === 1 ? 1 : header >> 3);
  }
  return { begin, end: at + (hasChecksum ? 4 : 0), isSkippable: false, contentBytes };
}

function readSize(view: DataView, at: number, bytes: number): number | undefined {
  switch (bytes) {
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at, true) + 256;
    case 4:
      return view.getUint32(at, true);
    case 8:
      return Number(view.getBigUint64(at, true));
    default:
      return undefined;
  }
}
