// What goes wrong on an HTTP/2 connection, with the codes of RFC 9113 section 7. Thrown inside the connection machine
// only, which answers with RST_STREAM or GOAWAY.

export const H2 = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const;

export type H2Code = keyof typeof H2;

const NAMES = Object.keys(H2) as H2Code[];

/** The peer broke the protocol: the connection ends with GOAWAY. */
export class ConnectionFault extends Error {
  readonly code: H2Code;
  constructor(code: H2Code, message: string) {
    super(message);
    this.name = "ConnectionFault";
    this.code = code;
  }
}

/** Name of a code on the wire; codes that are not known count as INTERNAL_ERROR (RFC 9113 section 7). */
export function codeName(code: number): H2Code {
  return NAMES[code] ?? "INTERNAL_ERROR";
}
