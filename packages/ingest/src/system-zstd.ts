// zstd for request bodies: zlib's own where this Node has it (22.15), else the WASM build.
//
// The WASM package keeps one instance in module state, and its init() replaces the memory under functions that are
// already bound: a second caller in the process (the fragment codecs) and we would write into each other's heaps. So
// this is an instance of our own, loaded beside the module cache.
import { createRequire } from "node:module";
import { dirname } from "node:path";
import * as zlib from "node:zlib";

/** What is used of it. */
interface ZstdWasm {
  init(): Promise<void>;
  decompress(frame: Uint8Array, options: { readonly defaultHeapSize: number }): Uint8Array;
}

/** Decompresses one whole frame to at most `bytesMax` bytes. @throws when it is broken or larger */
export type ZstdDecompress = (frame: Uint8Array, bytesMax: number) => Uint8Array;

let loaded: Promise<ZstdDecompress> | undefined;

/** Loads the decompressor, once. */
export function zstdDecompressor(): Promise<ZstdDecompress> {
  loaded ??= nativeDecompress() ?? wasmDecompress();
  return loaded;
}

function nativeDecompress(): Promise<ZstdDecompress> | undefined {
  const { zstdDecompressSync } = zlib as {
    zstdDecompressSync?: (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array;
  };
  if (zstdDecompressSync === undefined) return undefined;
  return Promise.resolve((frame, bytesMax) =>
    zstdDecompressSync(frame, { maxOutputLength: Math.max(1, bytesMax) }),
  );
}

async function wasmDecompress(): Promise<ZstdDecompress> {
  const wasm = loadOwnInstance();
  await wasm.init();
  return (frame, bytesMax) => wasm.decompress(frame, { defaultHeapSize: Math.max(1, bytesMax) });
}

function loadOwnInstance(): ZstdWasm {
  const require = createRequire(import.meta.url);
  const entry = require.resolve("@bokuweb/zstd-wasm");
  const folder = dirname(entry);
  const shared = Object.entries(require.cache).filter(([file]) => file.startsWith(folder));
  for (const [file] of shared) delete require.cache[file];
  try {
    return require(entry) as ZstdWasm;
  } finally {
    for (const file of Object.keys(require.cache)) if (file.startsWith(folder)) delete require.cache[file];
    for (const [file, module] of shared) require.cache[file] = module;
  }
}
