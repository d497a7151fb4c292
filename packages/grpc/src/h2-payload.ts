// Payloads of the frames that control a connection: their forms, checked and read, and written.
import { codeName, ConnectionFault, H2, type H2Code } from "./h2-error.ts";
import * as frame from "./h2-frame.ts";
import type { H2Sender } from "./h2-sender.ts";

/** Text of a GOAWAY that is sent, or read. */
const MESSAGE_CHARS_MAX = 256;

/** @throws {ConnectionFault} */
export function checkLength(payload: Uint8Array, name: string, length: number): void {
  if (payload.length === length) return;
  throw new ConnectionFault("FRAME_SIZE_ERROR", `${name} of ${payload.length} bytes (must have ${length})`);
}

/** @throws {ConnectionFault} */
export function checkStream(streamId: number, name: string, isWanted: boolean): void {
  if ((streamId !== 0) === isWanted) return;
  throw new ConnectionFault("PROTOCOL_ERROR", `${name} on stream ${streamId}`);
}

export function readGoAway(payload: Uint8Array): { lastStream: number; code: H2Code; message: string } {
  if (payload.length < 8) throw new ConnectionFault("FRAME_SIZE_ERROR", "GOAWAY of less than 8 bytes");
  return {
    lastStream: frame.readU31(payload, 0),
    code: codeName(frame.readU32(payload, 4)),
    message: String.fromCharCode(...payload.subarray(8, 8 + MESSAGE_CHARS_MAX)),
  };
}

export function writeGoAway(
  sender: H2Sender,
  { lastStream, code, message }: { lastStream: number; code: H2Code; message: string },
): void {
  const text = message.slice(0, MESSAGE_CHARS_MAX);
  const length = 8 + text.length;
  const at = sender.frame({ length, type: frame.GOAWAY, flags: 0, streamId: 0 }, length);
  const { chunk } = sender.outbox;
  frame.writeU32(chunk, at, lastStream);
  frame.writeU32(chunk, at + 4, H2[code]);
  for (let i = 0; i < text.length; i++) chunk[at + 8 + i] = text.charCodeAt(i) & 0x7f;
}

/** @param answered the content of the PING that is answered; none: asks */
export function writePing(sender: H2Sender, answered: Uint8Array | undefined): void {
  const flags = answered === undefined ? 0 : frame.ACK;
  const at = sender.frame({ length: 8, type: frame.PING, flags, streamId: 0 }, 8);
  if (answered === undefined) sender.outbox.chunk.fill(0, at, at + 8);
  else sender.outbox.chunk.set(answered, at);
}
