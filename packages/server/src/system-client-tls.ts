// Certificates of a client, from files that may be replaced while it runs: each new connection has what they hold then.
import type { Logger } from "@millrace/base";
import type { Config } from "./settings.ts";
import {
  PEER_TLS_NAMES,
  readTls,
  type TlsFiles,
  type TlsMaterial,
  type TlsNames,
} from "./system-tls-files.ts";

/**
 * Without authorities servers' certificates are from those that the platform trusts.
 * @throws {WireError} INVALID_ARGUMENT for files that cannot be used
 */
export function clientTls(files: TlsFiles, names: TlsNames, logger: Logger): () => TlsMaterial {
  let last = readTls(files, names);
  return () => {
    try {
      last = readTls(files, names);
    } catch (error) {
      // Half-written, most likely: the ones before go on.
      logger.warn("client-certificates-not-read", { error: (error as Error).message });
    }
    return last;
  };
}

/** What is shown to other brokers, and trusted of them. @throws as {@link clientTls} */
export function peerTls(config: Config, logger: Logger): () => TlsMaterial {
  const files = {
    cert: config["broker.peer-cert-file"],
    key: config["broker.peer-cert-key-file"],
    ca: config["broker.peer-ca-file"],
  };
  return clientTls(files, PEER_TLS_NAMES, logger);
}
