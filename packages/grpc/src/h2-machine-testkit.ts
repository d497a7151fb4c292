// A connection without a socket: a server machine that echoes messages, what it said, and frames to feed it with.
import type { ConnectionFault } from "./h2-error.ts";
import { H2Connection } from "./h2-connection.ts";
import type { RequestHead } from "./h2-fields.ts";
import * as frame from "./h2-frame.ts";
import type { ConnectionOwner, H2Stream, StreamListener } from "./h2-stream.ts";
import type { HeaderList } from "./hpack-decoder.ts";
import { HpackEncoder } from "./hpack-encoder.ts";
import { HeldBytes } from "./held-bytes.ts";
import { limitsOf } from "./limits.ts";
import { MessageReader, PartialMessages } from "./message-reader.ts";
import { ChunkPool, Outbox } from "./outbox.ts";
import type { ConnectionLimits } from "./peer-options.ts";

export const REQUEST: readonly string[] = [
  ...[":method", "POST", ":scheme", "http", ":path", "/s/m", ":authority", "h"],
  ...["content-type", "application/grpc", "te", "trailers"],
];

export class EchoMachine implements ConnectionOwner {
  readonly connection: H2Connection;
  readonly outbox: Outbox;
  /** What happened, in order; content of messages and not how it was cut into pieces. */
  readonly events: string[] = [];
  fault: ConnectionFault | undefined;
  readonly held = new HeldBytes(undefined, () => undefined);
  readonly #partial = new PartialMessages(this.held);
  readonly #bytesMax: number;
  nowMs = 0;

  constructor(limits: Partial<ConnectionLimits> = {}) {
    const all = limitsOf(limits);
    this.#bytesMax = all.receiveBytesMax;
    this.outbox = new Outbox(new ChunkPool(), () => undefined);
    const { outbox, held } = this;
    this.connection = new H2Connection({ role: "server", limits: all, outbox, owner: this, held }, 0);
  }

  /** Bytes of messages that are not whole. */
  get partialBytes(): number {
    return this.#partial.bytes;
  }

  push(bytes: Uint8Array): void {
    this.connection.push(bytes, this.nowMs);
  }

  /** What it wants to send. */
  take(): Uint8Array {
    const views = this.outbox.take();
    const bytes = Buffer.concat(views);
    this.outbox.release(views);
    if (!this.connection.isOver) this.connection.sender.pump();
    return this.outbox.isEmpty ? bytes : Buffer.concat([bytes, this.take()]);
  }

  onRequest(stream: H2Stream, request: RequestHead): StreamListener {
    this.events.push(`${stream.id} request ${request.path}`);
    return new EchoStream(this, stream, this.#bytesMax, this.#partial);
  }

  onReady(): void {
    this.events.push("ready");
  }

  onGoAway(): void {
    this.events.push("goaway");
  }

  onStreamClosed(): void {}

  onOver(fault: ConnectionFault): void {
    this.fault = fault;
    this.events.push(`over ${fault.code}`);
  }
}

class EchoStream implements StreamListener {
  readonly #machine: EchoMachine;
  readonly #stream: H2Stream;
  readonly #reader: MessageReader;
  #hasHead = false;

  constructor(machine: EchoMachine, stream: H2Stream, bytesMax: number, shared: PartialMessages) {
    this.#machine = machine;
    this.#stream = stream;
    const sink = { onWhole: (message: Uint8Array) => this.#onMessage(message) };
    this.#reader = new MessageReader(sink, { shared, bytesMax, side: "server" });
  }

  onHeaders(list: HeaderList): void {
    this.#machine.events.push(`${this.#stream.id} trailers ${list.fields.length}`);
  }

  onData(bytes: Uint8Array, begin: number, end: number): void {
    try {
      this.#reader.push(bytes, begin, end);
    } catch (error) {
      this.#machine.events.push(`${this.#stream.id} ${String(error)}`);
      this.#reader.stop();
      this.#machine.connection.reset(this.#stream, "CANCEL");
    }
  }

  onEnd(): void {
    this.#machine.events.push(`${this.#stream.id} end`);
    const { sender } = this.#machine.connection;
    if (this.#hasHead) sender.end(this.#stream, ["grpc-status", "0"]);
    else sender.headers(this.#stream, [":status", "200", "grpc-status", "0"], { isEnd: true });
  }

  onWritable(): void {}

  onReset(code: string): void {
    this.#reader.stop();
    this.#machine.events.push(`${this.#stream.id} reset ${code}`);
  }

  #onMessage(message: Uint8Array): void {
    this.#machine.events.push(`${this.#stream.id} message ${message.length} ${message[0] ?? ""}`);
    const { sender } = this.#machine.connection;
    if (!this.#hasHead) sender.headers(this.#stream, [":status", "200"], { isEnd: false });
    this.#hasHead = true;
    sender.message(this.#stream, message, undefined);
  }
}

export function frameOf(type: number, flags: number, streamId: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(frame.FRAME_HEAD_BYTES + payload.length);
  frame.writeFrameHead(bytes, 0, { length: payload.length, type, flags, streamId });
  bytes.set(payload, frame.FRAME_HEAD_BYTES);
  return bytes;
}

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  frame.writeU32(bytes, 0, value);
  return bytes;
}

/** A gRPC message with its prefix. */
export function messageOf(length: number, fill: number): Uint8Array {
  const bytes = new Uint8Array(5 + length).fill(fill);
  bytes[0] = 0;
  frame.writeU32(bytes, 1, length);
  return bytes;
}

/** The client's side, frame by frame. */
export class FrameWriter {
  readonly #encoder = new HpackEncoder();
  readonly #pieces: Uint8Array[] = [];

  constructor() {
    this.#pieces.push(frame.PREFACE, frameOf(frame.SETTINGS, 0, 0, new Uint8Array(0)));
  }

  add(type: number, flags: number, streamId: number, payload: Uint8Array): this {
    this.#pieces.push(frameOf(type, flags, streamId, payload));
    return this;
  }

  headers(streamId: number, flags: number, fields: readonly string[] = REQUEST): this {
    return this.add(frame.HEADERS, flags, streamId, this.#encoder.encode(fields).slice());
  }

  call(streamId: number, ...messages: readonly Uint8Array[]): this {
    this.headers(streamId, frame.END_HEADERS);
    for (const message of messages) {
      for (let at = 0; at < message.length; at += 16_384) {
        this.add(frame.DATA, 0, streamId, message.subarray(at, at + 16_384));
      }
    }
    return this.add(frame.DATA, frame.END_STREAM, streamId, new Uint8Array(0));
  }

  bytes(): Uint8Array {
    return Uint8Array.from(Buffer.concat(this.#pieces));
  }
}
