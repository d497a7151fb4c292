// zstd streams (RFC 8878) in bounded memory: whoever wrote them, and with whatever this Node can do.
import { through } from "./codec-gzip.ts";
import { StreamReader } from "./codec-reader.ts";
import { ZstdFrameDecoder } from "./codec-zstd-decoder.ts";
import { compressFrame, decompressFrame, nativeZstd, zstdReady } from "./codec-zstd-engine.ts";
import {
  BLOCK_BYTES_MAX,
  corrupt,
  FRAME_MAGIC,
  frameHeaderBytes,
  isSkippable,
  littleEndian,
  parseBlockHeader,
  parseFrameHeader,
  type BlockHeader,
  type FrameHeader,
} from "./codec-zstd-frame.ts";

type ByteStream = AsyncIterable<Uint8Array>;

/** Content of one frame that we write: 1 ms of work on the caller's thread, and little loss of ratio. */
const FRAME_CONTENT_BYTES = 256 * 1024;
/** Frames up to this content size are decompressed in one piece. */
const WHOLE_FRAME_BYTES_MAX = 1024 * 1024;
/** What an incompressible frame may be longer than its content. */
const FRAME_SLACK_BYTES = 64 * 1024;

/** @param work "pool": off the caller's thread where this Node can; "inline": at once */
export function zstd(content: ByteStream, work: "pool" | "inline"): ByteStream {
  const native = nativeZstd;
  if (work === "pool" && native !== undefined) return through(() => native.createZstdCompress(), content);
  return compressInFrames(content);
}

async function* compressInFrames(content: ByteStream): AsyncGenerator<Uint8Array> {
  const source = new StreamReader(content);
  try {
    await zstdReady();
    for (;;) {
      const part = await source.read(FRAME_CONTENT_BYTES);
      if (part.length === 0) return;
      yield compressFrame(part);
    }
  } finally {
    await source.close();
  }
}

export async function* unzstd(stored: ByteStream, work: "pool" | "inline"): AsyncGenerator<Uint8Array> {
  const source = new StreamReader(stored);
  try {
    await zstdReady();
    for (;;) {
      const start = await source.read(4);
      if (start.length === 0) return;
      if (start.length < 4) throw endsIn("a frame's magic");
      const magic = littleEndian(start, 0, 4);
      if (isSkippable(magic)) {
        const bytes = littleEndian(await exact(source, 4, "a skippable frame"), 0, 4);
        await source.skip(bytes, "zstd: unexpected EOF in a skippable frame");
      } else if (magic === FRAME_MAGIC) {
        yield* frame(source, start.slice(), work);
      } else {
        throw corrupt(`unknown magic ${magic.toString(16)}`);
      }
    }
  } finally {
    await source.close();
  }
}

async function* frame(
  source: StreamReader,
  magic: Uint8Array,
  work: "pool" | "inline",
): AsyncGenerator<Uint8Array> {
  const descriptor = await source.peek(1);
  if (descriptor.length === 0) throw endsIn("a frame's header");
  const bytes = await exact(source, frameHeaderBytes(descriptor[0]!), "a frame's header");
  const header = parseFrameHeader(bytes);
  const start = Buffer.concat([magic, bytes]);
  if (header.contentBytes !== undefined && header.contentBytes <= WHOLE_FRAME_BYTES_MAX) {
    yield decompressFrame(await wholeFrame(source, start, header), header.contentBytes);
  } else if (work === "pool" && nativeZstd !== undefined) {
    const native = nativeZstd;
    yield* through(() => native.createZstdDecompress(), frameParts(source, start, header));
  } else {
    yield* decoded(source, header);
  }
}

/** The frame's content, by our own decoder. */
async function* decoded(source: StreamReader, header: FrameHeader): AsyncGenerator<Uint8Array> {
  const decoder = new ZstdFrameDecoder(header.windowBytes);
  for await (const { block, body } of blocks(source, header)) {
    if (block !== undefined) yield decoder.block(block, body);
  }
}

/** The frame's bytes in one piece: bounded, since its content is. */
async function wholeFrame(source: StreamReader, start: Uint8Array, header: FrameHeader): Promise<Uint8Array> {
  const bytesMax = WHOLE_FRAME_BYTES_MAX + FRAME_SLACK_BYTES;
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of frameParts(source, start, header)) {
    bytes += part.length;
    if (bytes > bytesMax)
      throw corrupt(`a frame of more than ${bytesMax} bytes for its ${header.contentBytes}`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

async function* frameParts(
  source: StreamReader,
  start: Uint8Array,
  header: FrameHeader,
): AsyncGenerator<Uint8Array> {
  yield start;
  for await (const { head, body } of blocks(source, header)) {
    yield head.slice();
    yield body.slice();
  }
}

interface BlockBytes {
  /** Undefined for the checksum at the frame's end. */
  readonly block: BlockHeader | undefined;
  readonly head: Uint8Array;
  readonly body: Uint8Array;
}

async function* blocks(source: StreamReader, header: FrameHeader): AsyncGenerator<BlockBytes> {
  const empty = new Uint8Array(0);
  for (;;) {
    const head = (await exact(source, 3, "a block's header")).slice();
    const block = parseBlockHeader(head);
    const bytesMax = Math.min(BLOCK_BYTES_MAX, Math.max(header.windowBytes, 1));
    if ((block.contentBytes ?? block.bytes) > bytesMax) {
      throw corrupt(`a block of ${block.contentBytes ?? block.bytes} bytes (at most ${bytesMax})`);
    }
    yield { block, head, body: await exact(source, block.bytes, "a block") };
    if (!block.last) continue;
    if (header.hasChecksum) {
      yield { block: undefined, head: empty, body: await exact(source, 4, "a frame's checksum") };
    }
    return;
  }
}

async function exact(source: StreamReader, bytes: number, what: string): Promise<Uint8Array> {
  const part = await source.read(bytes);
  if (part.length < bytes) throw endsIn(what);
  return part;
}

function endsIn(what: string): Error {
  return corrupt(`unexpected EOF in ${what}`);
}
