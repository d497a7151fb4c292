// Who may use the broker's HTTP door, once Host and Origin are fine: whoever has the token.
import type { IncomingMessage } from "node:http";
import { bearsToken, WireError } from "@millrace/base";

/** @returns the check of a request; it throws UNAUTHENTICATED */
export function brokerAuthoriser(token: string): (request: IncomingMessage) => void {
  return ({ headers }) => {
    if (bearsToken(headers.authorization, token)) return;
    throw new WireError("UNAUTHENTICATED", "missing or empty Authorization token");
  };
}
