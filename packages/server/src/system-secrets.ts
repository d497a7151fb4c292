// The box that secrets at rest are sealed with, as the settings say.
import { readFileSync, statSync } from "node:fs";
import { WireError, type Logger } from "@millrace/base";
import { aesSecrets, parseKeyFile, plainSecrets, type SecretBox } from "@millrace/ingest";
import { isLoopback } from "./listen-policy.ts";
import type { Config } from "./settings.ts";

/** Bits of a file's mode: what its group and all others may do. */
const OTHERS = 0o077;

/** @throws {WireError} INVALID_ARGUMENT about settings that do not go together, and about the file */
export function openSecrets(config: Config, logger: Logger): SecretBox {
  const file = config["encryption.key-file"];
  if (config["encryption.provider"] === "none") {
    if (file !== "") throw apart("encryption.key-file is given without --encryption.provider aes");
    if (!isLoopback(config["http-source.listen"].host)) logger.warn("secrets-stored-plain");
    return plainSecrets;
  }
  if (file === "") throw apart("--encryption.provider aes needs --encryption.key-file");
  try {
    const secrets = aesSecrets(parseKeyFile(readFileSync(file, "utf8")));
    const mode = statSync(file).mode & 0o777;
    // As it is on purpose where a service hands files out.
    if ((mode & OTHERS) !== 0) logger.warn("key-file-open-to-others", { file, mode: mode.toString(8) });
    return secrets;
  } catch (cause) {
    const why =
      cause instanceof WireError ? cause.message : ((cause as NodeJS.ErrnoException).code ?? "unreadable");
    throw new WireError("INVALID_ARGUMENT", `encryption.key-file ${file}: ${why}`, { cause });
  }
}

function apart(message: string): WireError {
  return new WireError("INVALID_ARGUMENT", message);
}
