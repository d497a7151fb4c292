// Compressed bodies on their way to being opened. Opened ones take up to a hundred times what was received, and the
// thread pool would make all of them piece by piece beside each other.
//
// N1 OPENING_MAX bodies are being opened at once; what they become is looked at as soon as they are, or counts where
//    bodies are held that others have their turns beside (http-source-steps.ts).
// N2 Others wait in the order in which they came, within a bound of their bytes; beyond it they are refused. One may
//    wait whatever its size.
// N3 What nobody waits for any more is not opened.
// N4 What is opened at once takes nobody's turn.
import { WireError } from "@millrace/base";
import {
  decompressBody,
  isOpenedAtOnce,
  type DecompressBounds,
  type DecompressOutcome,
  type Encoding,
} from "./body-decompress.ts";

export type OpenOutcome =
  | DecompressOutcome
  | { readonly kind: "overloaded"; readonly error: WireError }
  /** Nobody waits for it. */
  | { readonly kind: "over" };

export interface CompressedBody {
  readonly encoding: Exclude<Encoding, "identity">;
  /** Nobody writes to them; they are copied to wait. */
  readonly bytes: Uint8Array;
  readonly bounds: DecompressBounds;
  readonly isOver: () => boolean;
}

/** As many as the thread pool has threads by default. */
const OPENING_MAX = 4;
/** What a request takes that waits, beside its body. */
const REQUEST_BYTES = 4096;

interface Waiting {
  readonly body: CompressedBody;
  readonly resolve: (outcome: Promise<DecompressOutcome> | OpenOutcome) => void;
}

export class BodyOpening {
  readonly #decompress: typeof decompressBody;
  readonly #waitingBytesMax: number;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #opening = 0;

  constructor(options: {
    readonly limits: { readonly receivingBytesMax: number };
    readonly decompress?: typeof decompressBody;
  }) {
    this.#decompress = options.decompress ?? decompressBody;
    this.#waitingBytesMax = options.limits.receivingBytesMax;
  }

  open(body: CompressedBody): OpenOutcome | Promise<OpenOutcome> {
    if (isOpenedAtOnce(body.encoding, body.bytes)) return this.#run(body); // N4
    if (this.#opening < OPENING_MAX) return this.#start(body);
    const max = this.#waitingBytesMax;
    const bytes = this.#waitingBytes + heldBytes(body);
    if (this.#waitingBytes > 0 && bytes > max) {
      const message = `too many compressed bodies wait to be opened (${bytes} bytes; expected <= ${max})`;
      return { kind: "overloaded", error: new WireError("OVERLOADED", message) }; // N2
    }
    this.#waitingBytes = bytes;
    const kept = { ...body, bytes: body.bytes.slice() };
    return new Promise((resolve) => this.#waiting.push({ body: kept, resolve }));
  }

  #run({ encoding, bytes, bounds }: CompressedBody): DecompressOutcome | Promise<DecompressOutcome> {
    return this.#decompress(encoding, bytes, bounds);
  }

  async #start(body: CompressedBody): Promise<DecompressOutcome> {
    this.#opening++;
    try {
      return await this.#run(body);
    } finally {
      this.#opening--;
      this.#startNext();
    }
  }

  #startNext(): void {
    while (this.#opening < OPENING_MAX) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#waitingBytes -= heldBytes(next.body);
      next.resolve(next.body.isOver() ? { kind: "over" } : this.#start(next.body)); // N3
    }
  }
}

function heldBytes({ bytes }: CompressedBody): number {
  return bytes.length + REQUEST_BYTES;
}
