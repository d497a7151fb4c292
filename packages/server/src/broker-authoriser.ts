// Who may use the broker's HTTP door: Host and Origin first, then the token.
import type { IncomingMessage } from "node:http";
import { bearsToken, hostPolicy, refuseHost, WireError } from "@millrace/base";

/** @returns the check of a request; it throws FORBIDDEN or UNAUTHENTICATED */
export function brokerAuthoriser(listenHost: string, token: string): (request: IncomingMessage) => void {
  const policy = hostPolicy(listenHost, token !== "");
  return ({ headers }) => {
    const refused = refuseHost(headers.host, headers.origin, policy);
    if (refused !== undefined) throw new WireError("FORBIDDEN", refused);
    if (!bearsToken(headers.authorization, token)) {
      throw new WireError("UNAUTHENTICATED", "missing or empty Authorization token");
    }
  };
}
