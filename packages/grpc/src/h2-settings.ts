// SETTINGS (RFC 9113 section 6.5): what this side announces, and what the peer's mean for sending.
import { ConnectionFault } from "./h2-error.ts";
import * as frame from "./h2-frame.ts";
import type { H2Sender } from "./h2-sender.ts";
import type { ConnectionLimits } from "./peer-options.ts";

const { SETTING } = frame;

/** Settings in one frame; more say the same thing again. */
const SETTINGS_MAX = 64;

export function writeSettings(
  sender: H2Sender,
  announced: ConnectionLimits & { readonly role: "server" | "client"; readonly frameBytesMax: number },
): void {
  const settings: [id: number, value: number][] = [
    [SETTING.INITIAL_WINDOW_SIZE, announced.streamWindowBytes],
    [SETTING.MAX_FRAME_SIZE, announced.frameBytesMax],
    [SETTING.MAX_HEADER_LIST_SIZE, announced.headerListBytesMax],
  ];
  if (announced.role === "client") settings.push([SETTING.ENABLE_PUSH, 0]);
  else settings.push([SETTING.MAX_CONCURRENT_STREAMS, announced.maxConcurrentStreams]);
  const length = 6 * settings.length;
  let at = sender.frame({ length, type: frame.SETTINGS, flags: 0, streamId: 0 }, length);
  const { chunk } = sender.outbox;
  for (const [id, value] of settings) {
    chunk[at] = id >>> 8;
    chunk[at + 1] = id;
    frame.writeU32(chunk, at + 2, value);
    at += 6;
  }
}

/** Takes over the peer's settings. @throws {ConnectionFault} */
export function applySettings(
  sender: H2Sender,
  payload: Uint8Array,
  from: "server" | "client",
): { windowDelta: number; streamsMax: number | undefined } {
  if (payload.length % 6 !== 0 || payload.length > 6 * SETTINGS_MAX) {
    throw new ConnectionFault("FRAME_SIZE_ERROR", `SETTINGS of ${payload.length} bytes`);
  }
  const windowBefore = sender.initialWindow;
  let streamsMax: number | undefined;
  for (let at = 0; at < payload.length; at += 6) {
    const value = frame.readU32(payload, at + 2);
    switch ((payload[at]! << 8) | payload[at + 1]!) {
      case SETTING.HEADER_TABLE_SIZE:
        sender.encoder.limitTable(value);
        break;
      case SETTING.ENABLE_PUSH:
        if (value > 1 || (value === 1 && from === "server")) throw outOfRange("ENABLE_PUSH", value);
        break;
      case SETTING.MAX_CONCURRENT_STREAMS:
        streamsMax = value;
        break;
      case SETTING.INITIAL_WINDOW_SIZE:
        if (value > frame.WINDOW_MAX) {
          throw new ConnectionFault("FLOW_CONTROL_ERROR", `INITIAL_WINDOW_SIZE ${value} out of range`);
        }
        sender.initialWindow = value;
        break;
      case SETTING.MAX_FRAME_SIZE:
        if (value < frame.DEFAULT_FRAME_BYTES_MAX || value > frame.FRAME_BYTES_MAX_MAX) {
          throw outOfRange("MAX_FRAME_SIZE", value);
        }
        sender.frameBytesMax = Math.min(value, SENT_FRAME_BYTES_MAX);
        break;
      default: // MAX_HEADER_LIST_SIZE is advice, and what is unknown is ignored.
    }
  }
  return { windowDelta: sender.initialWindow - windowBefore, streamsMax };
}

/** A frame is never larger than what this side would take: one stream must not hold up the others. */
const SENT_FRAME_BYTES_MAX = 128 * 1024;

function outOfRange(name: string, value: number): ConnectionFault {
  return new ConnectionFault("PROTOCOL_ERROR", `${name} ${value} out of range`);
}
