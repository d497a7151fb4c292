// What the peer may send (RFC 9113 section 5.2): the connection's window, its streams', and when they are given back.
//
// V1 A stream's window is given back as its listener takes the bytes, the connection's as they come: one stream that is
//    not read stops no other.
// V2 While listeners hold on to more than HELD_BYTES_MAX the connection's window is not given back.
import { ConnectionFault } from "./h2-error.ts";
import { DEFAULT_WINDOW_BYTES, WINDOW_UPDATE } from "./h2-frame.ts";
import type { H2Sender } from "./h2-sender.ts";
import type { H2Stream } from "./h2-stream.ts";
import type { HeldBytes } from "./held-bytes.ts";
import { HELD_BYTES_MAX } from "./limits.ts";
import type { ConnectionLimits } from "./peer-options.ts";

export class ReceiveWindows {
  readonly #sender: H2Sender;
  readonly #limits: ConnectionLimits;
  readonly #held: HeldBytes;
  #window: number;
  #unreturnedBytes = 0;
  #heldBytes = 0;

  constructor(sender: H2Sender, limits: ConnectionLimits, held: HeldBytes) {
    this.#sender = sender;
    this.#held = held;
    this.#limits = limits;
    this.#window = limits.connectionWindowBytes;
  }

  /** Raises the connection's window from the default; behind this side's SETTINGS. */
  open(): void {
    const more = this.#limits.connectionWindowBytes - DEFAULT_WINDOW_BYTES;
    if (more > 0) this.#sender.numberFrame(WINDOW_UPDATE, 0, more);
  }

  /** A DATA frame begins. @throws {ConnectionFault} FLOW_CONTROL_ERROR */
  takeConnection(bytes: number): void {
    if (bytes > this.#window) {
      throw new ConnectionFault("FLOW_CONTROL_ERROR", "more DATA than the connection's window");
    }
    this.#window -= bytes;
  }

  /** @returns whether the stream's window allows it */
  takeStream(stream: H2Stream, bytes: number): boolean {
    if (bytes > stream.receiveWindow) return false;
    stream.receiveWindow -= bytes;
    return true;
  }

  /** A DATA frame was read, whatever became of it. */
  returnConnection(bytes: number): void {
    this.#unreturnedBytes += bytes;
    const { connectionWindowBytes } = this.#limits;
    if (this.#unreturnedBytes < connectionWindowBytes / 2 || this.#heldBytes > HELD_BYTES_MAX) return; // V2
    this.#window += this.#unreturnedBytes;
    this.#sender.numberFrame(WINDOW_UPDATE, 0, this.#unreturnedBytes);
    this.#unreturnedBytes = 0;
  }

  /** V1 */
  returnStream(stream: H2Stream, bytes: number): void {
    stream.unreturnedBytes += bytes;
    const due = stream.unreturnedBytes - stream.heldBytes;
    if (stream.receiving !== "open" || due < this.#limits.streamWindowBytes / 2) return;
    stream.unreturnedBytes -= due;
    stream.receiveWindow += due;
    this.#sender.numberFrame(WINDOW_UPDATE, stream.id, due);
  }

  /** The listener holds on to `bytes` more (or, negative, less) of what it was given. */
  hold(stream: H2Stream, bytes: number): void {
    stream.heldBytes += bytes;
    this.#heldBytes += bytes;
    this.#held.add(bytes);
    if (bytes >= 0) return;
    this.returnStream(stream, 0);
    this.returnConnection(0);
  }

  /** The stream is over: what is still held of it does not count any more. */
  forget(stream: H2Stream): void {
    if (stream.heldBytes === 0) return;
    this.#heldBytes -= stream.heldBytes;
    this.#held.add(-stream.heldBytes);
    stream.heldBytes = 0;
    this.returnConnection(0);
  }
}
