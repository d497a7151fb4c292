// What is said of TLS handshakes that fail. A client that is refused for its certificate is worth a line: whoever runs
// it sees no more than the end of a connection.
//
// R1 One line at a time: who has no certificate can begin any number of handshakes. The next one counts those between.
import type { TLSSocket } from "node:tls";
import type { Clock, Logger } from "@millrace/base";

const LINE_MS = 10_000;

export class RefusedClients {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #nextLineMs = Number.NEGATIVE_INFINITY;
  #untold = 0;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** @param error of a server's `tlsClientError` @param socket its socket, which may be gone already */
  onFailed(
    error: NodeJS.ErrnoException,
    socket: Pick<TLSSocket, "remoteAddress" | "authorizationError">,
  ): void {
    const peer = socket.remoteAddress;
    const reason = refusal(error, socket);
    if (reason === undefined) {
      this.#logger.debug("tls-handshake-failed", { peer, reason: error.message });
      return;
    }
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#nextLineMs) {
      this.#untold += 1;
      return;
    }
    this.#logger.warn("client-certificate-refused", { peer, reason, moreBefore: this.#untold });
    this.#nextLineMs = nowMs + LINE_MS;
    this.#untold = 0;
  }
}

/** Node's code of what is wrong with the client's certificate; undefined when that is not why it failed. */
function refusal(
  { code = "" }: NodeJS.ErrnoException,
  { authorizationError }: Pick<TLSSocket, "authorizationError">,
): string | undefined {
  // A code, whatever its declared type says.
  const refused = authorizationError as Error | string | null | undefined;
  if (refused !== null && refused !== undefined) return String(refused);
  return /^ERR_SSL_\w*CERTIFICATE/.test(code) ? code : undefined;
}
