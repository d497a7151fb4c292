// Every bound of a connection, with its reason.
import { assert } from "@millrace/base";
import { DEFAULT_WINDOW_BYTES, WINDOW_MAX } from "./h2-frame.ts";
import type { ConnectionLimits } from "./peer-options.ts";

export const DEFAULT_LIMITS: ConnectionLimits = {
  // As every other gRPC has it.
  receiveBytesMax: 4 * 1024 * 1024,
  // A message of the largest size that peers take, and as much again.
  sendQueueBytesMax: 64 * 1024 * 1024,
  // Thousands of journals are replicated over one connection, each on a stream of its own.
  maxConcurrentStreams: 10_000,
  // 64 KiB would stop a stream of 64 KiB messages at each of them; larger than this gained nothing (README).
  streamWindowBytes: 1024 * 1024,
  connectionWindowBytes: 16 * 1024 * 1024,
  // Tokens are long; still far from what would be felt.
  headerListBytesMax: 64 * 1024,
};

export function limitsOf(changed: Partial<ConnectionLimits> | undefined): ConnectionLimits {
  const limits = { ...DEFAULT_LIMITS, ...changed };
  const { streamWindowBytes, connectionWindowBytes } = limits;
  // A smaller one would be in force only after the peer has heard of it.
  assert(streamWindowBytes >= DEFAULT_WINDOW_BYTES, "stream window >= 65535", { streamWindowBytes });
  assert(connectionWindowBytes >= DEFAULT_WINDOW_BYTES, "connection window >= 65535", {
    connectionWindowBytes,
  });
  assert(Math.max(streamWindowBytes, connectionWindowBytes) <= WINDOW_MAX, "windows < 2^31", {
    streamWindowBytes,
    connectionWindowBytes,
  });
  return limits;
}

/** Messages that are not whole, all calls of a connection together; beyond it a call ends with RESOURCE_EXHAUSTED. */
export const PARTIAL_BYTES_MAX = 128 * 1024 * 1024;

/** What the connections of a server hold together: ten whose calls hold what each may, or a thousand of 1 MiB. */
export const HELD_TOGETHER_BYTES_MAX = 1024 * 1024 * 1024;

/** Calls of a channel that wait for a connection, or for a place on it. */
export const WAITING_CALLS_MAX = 10_000;

/** Bytes that the socket has not taken, beyond which it is not read either: whoever does not read, is not served. */
export const UNSENT_BYTES_MAX = 1024 * 1024;

/** What a status message may have: headers of more than 8 KiB are refused by some peers. */
export const STATUS_MESSAGE_CHARS_MAX = 4096;

/** From accepting a connection to its SETTINGS. */
export const HANDSHAKE_MS = 10_000;

/** From the last byte that is sent to the end of the socket. */
export const LINGER_MS = 2000;

/**
 * Bytes that the listeners of a connection hold on to, while paused: beyond it the peer is stopped altogether, until
 * they are fewer. As many as 64 calls with the default window.
 */
export const HELD_BYTES_MAX = 64 * 1024 * 1024;
