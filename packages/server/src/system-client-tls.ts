// Certificates of a client, from files that may be replaced while it runs: each new connection has what they hold then.
import { readFileSync } from "node:fs";
import { WireError, type Logger } from "@millrace/base";
import type { ClientTls } from "@millrace/grpc";

/** Paths; "": none. */
export interface ClientTlsFiles {
  readonly cert: string;
  readonly key: string;
  /** Of the authorities that servers' certificates must be from; "": those that the platform trusts. */
  readonly ca: string;
}

/**
 * @param setting what the names of the settings begin with: `etcd.`, `broker.peer-`
 * @throws {WireError} INVALID_ARGUMENT for a file that cannot be read, or a certificate without its key
 */
export function clientTls(files: ClientTlsFiles, setting: string, logger: Logger): () => ClientTls {
  if ((files.cert === "") !== (files.key === "")) {
    const text = `${setting}cert-file and ${setting}cert-key-file go together: one of them is missing`;
    throw new WireError("INVALID_ARGUMENT", text);
  }
  let last = readTls(files);
  return () => {
    try {
      last = readTls(files);
    } catch (error) {
      // Half-written, most likely: the ones before go on.
      logger.warn("client-certificates-not-read", { setting, error: (error as Error).message });
    }
    return last;
  };
}

function readTls({ cert, key, ca }: ClientTlsFiles): ClientTls {
  return {
    ...(cert === "" ? {} : { cert: read(cert), key: read(key) }),
    ...(ca === "" ? {} : { ca: read(ca) }),
  };
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new WireError("INVALID_ARGUMENT", `cannot read ${file}: ${(error as Error).message}`);
  }
}
