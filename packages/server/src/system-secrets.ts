// The box that secrets at rest are sealed with, as the settings say: with keys of a file, with data keys that a key
// management service unwraps, or not at all. What seals is one of them; what opens are all, so that an installation can
// move from one to the other.
import { readFileSync, statSync } from "node:fs";
import { TaskGroup, WireError, type Logger } from "@millrace/base";
import {
  DataKeyRing,
  fileKeys,
  keysTogether,
  parseKeyFile,
  plainSecrets,
  sealedBy,
  type KeyService,
  type SecretBox,
} from "@millrace/ingest";
import { openAwsKms } from "./aws-kms.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { isLoopback } from "./listen-policy.ts";
import type { PartContext } from "./part-context.ts";
import type { Config, SettingName } from "./settings.ts";

/** Bits of a file's mode: what its group and all others may do. */
const OTHERS = 0o077;

/** Each data key is tried with each of them. */
const KMS_KEY_COUNT_MAX = 8;

/** Settings that say nothing without `encryption.kms-key`. */
const OF_KMS = ["encryption.kms-region", "encryption.kms-endpoint", "encryption.kms-rotate-after"] as const;

export type SecretsContext = Pick<
  PartContext,
  "config" | "coordination" | "clock" | "random" | "logger" | "health" | "onFatal" | "fileKeys"
>;

/**
 * The keys of `encryption.key-file`, none without one.
 * @throws {WireError} INVALID_ARGUMENT about settings that do not go together, and about the file
 */
export function readFileKeys(config: Config, logger: Logger): readonly Uint8Array[] {
  checkTogether(config);
  const file = config["encryption.key-file"];
  if (config["encryption.provider"] === "none" && !isLoopback(config["http-source.listen"].host))
    logger.warn("secrets-stored-plain");
  if (file === "") return [];
  try {
    const keys = parseKeyFile(readFileSync(file, "utf8"));
    const mode = statSync(file).mode & 0o777;
    // As it is on purpose where a service hands files out.
    if ((mode & OTHERS) !== 0) logger.warn("key-file-open-to-others", { file, mode: mode.toString(8) });
    return keys;
  } catch (cause) {
    const why =
      cause instanceof WireError ? cause.message : ((cause as NodeJS.ErrnoException).code ?? "unreadable");
    throw new WireError("INVALID_ARGUMENT", `encryption.key-file ${file}: ${why}`, { cause });
  }
}

/**
 * Has the data keys unwrapped, if there is a service to do it, and follows them until the parts stop.
 * @param open of a test, in the place of the vendor's
 * @throws {WireError} as DataKeyRing.load
 */
export async function startSecrets(
  lifecycle: Lifecycle,
  context: SecretsContext,
  signal: AbortSignal,
  open: (config: Config) => Promise<KeyService> = openService,
): Promise<SecretBox> {
  const { config, fileKeys: inFile } = context;
  if (config["encryption.provider"] === "none") return plainSecrets;
  const ofFile = inFile.length === 0 ? [] : [fileKeys(inFile)];
  if (config["encryption.kms-key"].length === 0) return sealedBy(keysTogether(ofFile));
  const ring = await startRing(lifecycle, context, await open(config), signal);
  return sealedBy(
    keysTogether(config["encryption.provider"] === "aes" ? [...ofFile, ring] : [ring, ...ofFile]),
  );
}

async function startRing(
  lifecycle: Lifecycle,
  context: SecretsContext,
  service: KeyService,
  signal: AbortSignal,
): Promise<DataKeyRing> {
  const { config, coordination: store, health } = context;
  const ring = new DataKeyRing(
    { ...context, store, service },
    {
      names: config["encryption.kms-key"],
      context: { "millrace-prefix": config["etcd.prefix"] },
      rotateAfterMs: config["encryption.kms-rotate-after"],
    },
  );
  const tasks = new TaskGroup("data keys", (_task, error) => context.onFatal(error));
  await lifecycle.start(
    "data keys",
    async () => {
      await ring.load(signal);
      tasks.spawn("ring", (stopping) => ring.run(stopping));
    },
    () => tasks.close(),
  );
  health.addDegradation(() =>
    ring.closedCount === 0 ? undefined : `${ring.closedCount} data keys of secrets cannot be unwrapped`,
  );
  return ring;
}

function openService(config: Config): Promise<KeyService> {
  const [region, endpoint] = [config["encryption.kms-region"], config["encryption.kms-endpoint"]];
  return openAwsKms({ region, endpoint, key: config["encryption.kms-key"][0]! });
}

function checkTogether(config: Config): void {
  const provider = config["encryption.provider"];
  const [file, kmsKeys] = [config["encryption.key-file"], config["encryption.kms-key"]];
  if (kmsKeys.length > KMS_KEY_COUNT_MAX)
    throw apart(`encryption.kms-key names ${kmsKeys.length} keys (expected at most ${KMS_KEY_COUNT_MAX})`);
  if (provider === "aes" && file === "") throw apart("--encryption.provider aes needs --encryption.key-file");
  if (provider === "aws-kms" && kmsKeys.length === 0)
    throw apart("--encryption.provider aws-kms needs --encryption.kms-key");
  if (provider === "none") {
    if (file !== "") throw withoutProvider("encryption.key-file");
    if (kmsKeys.length > 0) throw withoutProvider("encryption.kms-key");
  }
  const lone = OF_KMS.find((name) => kmsKeys.length === 0 && isGiven(config, name));
  if (lone !== undefined) throw apart(`${lone} is given without --encryption.kms-key`);
}

function isGiven(config: Config, name: (typeof OF_KMS)[number]): boolean {
  return config[name] !== "" && config[name] !== 0;
}

function withoutProvider(name: SettingName): WireError {
  return apart(`${name} is given without --encryption.provider aes or aws-kms`);
}

function apart(message: string): WireError {
  return new WireError("INVALID_ARGUMENT", message);
}
