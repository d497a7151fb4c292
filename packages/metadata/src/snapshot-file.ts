// The file of a checkpoint: its chunks one after another, so that neither writing nor reading it needs the whole in
// memory. Written and synced before the small checkpoint file names it; a file that no checkpoint names means nothing.
//
//   offset  size
//        0     4  magic "MRSS"
//        4     2  version, 1
//        6     2  zero
//        8     8  generation
//       16        chunks: length (4), CRC-32C (4), bytes
//
// Little-endian.
import { WireError } from "@millrace/base";
import { crc32c, type Disk } from "@millrace/wal";

const MAGIC = 0x5353524d;
const VERSION = 1;
const HEADER_BYTES = 16;
const CHUNK_HEADER_BYTES = 8;

export interface SnapshotExtent {
  readonly bytes: number;
  readonly chunks: number;
}

/** Writes `chunks` to `path`, durable but for the directory entry when it resolves. @throws {DiskError} */
export async function writeSnapshotFile(
  disk: Disk,
  path: string,
  generation: number,
  chunks: Iterable<Uint8Array>,
): Promise<SnapshotExtent> {
  await disk.run("bulk", [
    { kind: "remove", path },
    { kind: "write", path, position: 0, bytes: encodeHeader(generation) },
  ]);
  let position = HEADER_BYTES;
  let count = 0;
  for (const chunk of chunks) {
    const bytes = frame(chunk);
    await disk.run("bulk", [{ kind: "write", path, position, bytes }]);
    position += bytes.length;
    count++;
  }
  await disk.run("bulk", [{ kind: "sync", path }]);
  return { bytes: position, chunks: count };
}

/** Calls `onChunk` for each chunk of a file that is `extent` long. @throws {WireError} CORRUPT, naming the offset */
export async function readSnapshotFile(
  disk: Disk,
  path: string,
  generation: number,
  extent: SnapshotExtent,
  onChunk: (chunk: Uint8Array) => void,
): Promise<void> {
  const corrupt = (at: number, what: string): WireError =>
    new WireError("CORRUPT", `${path}, offset ${at}: ${what}`, { facts: { path, offset: at } });
  const header = await disk.read(path, 0, HEADER_BYTES);
  const expected = encodeHeader(generation);
  if (header.length < HEADER_BYTES || !header.every((byte, at) => byte === expected[at])) {
    throw corrupt(0, `this is not the header of snapshot ${generation}, format ${VERSION}`);
  }
  let at = HEADER_BYTES;
  for (let i = 0; i < extent.chunks; i++) {
    const head = await disk.read(path, at, CHUNK_HEADER_BYTES);
    if (head.length < CHUNK_HEADER_BYTES) throw corrupt(at, "the snapshot ends early");
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
    const length = view.getUint32(0, true);
    const end = at + CHUNK_HEADER_BYTES + length;
    if (end > extent.bytes) throw corrupt(at, `a chunk of ${length} bytes does not fit`);
    const chunk = await disk.read(path, at + CHUNK_HEADER_BYTES, length);
    if (chunk.length < length || crc32c(chunk) !== view.getUint32(4, true)) {
      throw corrupt(at, `chunk ${i} of the snapshot does not match its sum`);
    }
    onChunk(chunk);
    at = end;
  }
  if (at !== extent.bytes) throw corrupt(at, `the snapshot has ${extent.bytes} bytes, its chunks end here`);
}

function encodeHeader(generation: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, VERSION, true);
  view.setBigUint64(8, BigInt(generation), true);
  return bytes;
}

function frame(chunk: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(CHUNK_HEADER_BYTES + chunk.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, chunk.length, true);
  view.setUint32(4, crc32c(chunk), true);
  bytes.set(chunk, CHUNK_HEADER_BYTES);
  return bytes;
}
