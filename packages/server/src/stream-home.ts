// To whom the sources, sinks and tables of an etcd belong, for good. The partitions' journals are those of the brokers
// below one prefix, and the tables of DuckDB are in one data directory: in another they would begin anew. What the
// processes of an etcd share besides it, the staging store and the keys of secrets, has to be the same for all of them.
import { hex, text, utf8, WireError, type Random } from "@millrace/base";
import {
  CannotOpen,
  decodeSecret,
  JsonFields,
  parseJson,
  type SecretBox,
  type StoredSecret,
} from "@millrace/ingest";
import { keyOf, type Key } from "@millrace/metadata";
import type { ObjectStore } from "@millrace/stores";
import type { PartContext } from "./part-context.ts";

const PREFIX = keyOf("/millrace/pipeline/prefix");
const WAREHOUSE = keyOf("/millrace/pipeline/warehouse");
const STAGING = keyOf("/millrace/pipeline/staging");
const SECRETS = keyOf("/millrace/pipeline/secrets");
/** Begin of the name of the staging store's mark. */
const STAGING_MARK = "staging-";
const STAGING_ID_BYTES = 16;
const PROBE = "probe";
/** Before a staging store that is away is asked again. */
const STAGING_AWAY_MS = 1000;

type Ports = Pick<PartContext, "coordination">;

type StagingPorts = Pick<PartContext, "coordination" | "clock" | "logger"> & {
  readonly random: Random;
  readonly stagingStore: ObjectStore;
};

/** @param prefix root of the brokers' keys @throws {WireError} CONFLICT when they belong to brokers of another one */
export async function claimPrefix(ports: Ports, prefix: string, signal: AbortSignal): Promise<void> {
  const owner = await firstOf(ports, PREFIX, prefix, signal);
  if (owner === prefix) return;
  const message = `the sources of this etcd belong to the brokers of --etcd.prefix ${owner}, not ${prefix}`;
  throw new WireError("CONFLICT", message);
}

/** @param nodeId id of the data directory @throws {WireError} CONFLICT when the tables are in another one */
export async function claimWarehouse(ports: Ports, nodeId: string, signal: AbortSignal): Promise<void> {
  const owner = await firstOf(ports, WAREHOUSE, nodeId, signal);
  if (owner === nodeId) return;
  const message =
    `the tables of this etcd are in the warehouse of the data directory ${owner}, this one is ${nodeId}: ` +
    "run the component warehouse there";
  throw new WireError("CONFLICT", message);
}

/**
 * Whether `store` is the one that all processes of the etcd stage in: it holds the mark that the etcd names. The first
 * one puts both, the mark before it is named. URLs may differ, since a directory need not be mounted everywhere at the
 * same place. A store that is away is waited for.
 * @throws {WireError} CONFLICT when it is another one; what the store says when asking again would not help
 */
export async function claimStaging(ports: StagingPorts, signal: AbortSignal): Promise<void> {
  const { clock, logger, random } = ports;
  const own = hex(random.fill(new Uint8Array(STAGING_ID_BYTES)));
  for (let isSaid = false; ; isSaid = true) {
    try {
      return await claimMark(ports, own, signal);
    } catch (thrown) {
      const error = WireError.from(thrown);
      if (signal.aborted || error.code !== "UNAVAILABLE") throw thrown;
      if (!isSaid) logger.warn("staging-not-reached", { error });
      await clock.sleep(STAGING_AWAY_MS, signal);
    }
  }
}

/** @param own name of the mark that this process puts where there is none */
async function claimMark(
  { coordination, stagingStore: store }: StagingPorts,
  own: string,
  signal: AbortSignal,
): Promise<void> {
  const [known] = (await coordination.range({ key: STAGING }, signal)).kvs;
  let id = known === undefined ? undefined : text(known.value);
  if (id === undefined) {
    await store.put(STAGING_MARK + own, once(utf8("\n")), { bytes: 1 }, signal);
    id = await firstOf({ coordination }, STAGING, own, signal);
    if (id === own) return;
    await store.remove(STAGING_MARK + own, signal);
  }
  if ((await store.head(STAGING_MARK + id, signal)) !== undefined) return;
  const message =
    `the processes of this etcd stage records in another store than ${store.url} of this one, which has no object ` +
    `${STAGING_MARK}${id}: give the same --staging.store, and --broker.file-root for a directory`;
  throw new WireError("CONFLICT", message);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/**
 * Whether this process can open what others seal. The newest key that seals is left behind for those to come.
 * @throws {WireError} CONFLICT without that key
 */
export async function claimSecrets(
  { coordination, secrets }: Ports & { readonly secrets: SecretBox },
  signal: AbortSignal,
): Promise<void> {
  const own = secrets.seal(PROBE, SECRETS);
  const put = { kind: "put", key: SECRETS, value: utf8(JSON.stringify({ secret: own })) } as const;
  // Again when another process was faster.
  for (let isSettled = false; !isSettled;) {
    const [known] = (await coordination.range({ key: SECRETS }, signal)).kvs;
    if (known !== undefined && keyOfSecret(openProbe(secrets, known.value)) === keyOfSecret(own)) return;
    const before = { target: "mod", key: SECRETS, op: "=", revision: known?.modRevision ?? 0 } as const;
    isSettled = await coordination
      .txn({ compare: [before], success: [put] }, signal)
      .then(({ succeeded }) => succeeded, notUnknown(false));
  }
}

function openProbe(secrets: SecretBox, value: Uint8Array): StoredSecret {
  const stored = decodeSecret(new JsonFields(parseJson(value, SECRETS), SECRETS), "secret");
  try {
    secrets.open(stored, SECRETS);
    return stored;
  } catch (thrown) {
    if (!(thrown instanceof CannotOpen)) throw thrown;
    const message =
      `secrets of this etcd's sources are sealed with key ${keyOfSecret(stored)}, which this process does not have: ` +
      "give --encryption.provider, --encryption.key-file and --encryption.kms-key as the others have them";
    throw new WireError("CONFLICT", message, { cause: thrown });
  }
}

/** Empty for a plain one. */
function keyOfSecret(stored: StoredSecret): string {
  return typeof stored === "string" ? "" : stored.k;
}

/** Puts `value` where nothing stands yet. @returns what stands there */
async function firstOf(
  { coordination }: Ports,
  key: Key,
  value: string,
  signal: AbortSignal,
): Promise<string> {
  const request = {
    compare: [{ target: "version", key, op: "=", version: 0 }],
    success: [{ kind: "put", key, value: utf8(value) }],
    failure: [{ kind: "range", key }],
  } as const;
  for (;;) {
    const answer = await coordination.txn(request, signal).catch(notUnknown(undefined));
    signal.throwIfAborted();
    if (answer === undefined) continue; // What it has done is what stands there.
    const [found] = answer.results;
    return found?.kind === "range" ? text(found.kvs[0]?.value ?? utf8(value)) : value;
  }
}

/** What to do after a failure: an unknown outcome is `instead`, and whoever asks again learns of it. */
function notUnknown<T>(instead: T): (thrown: unknown) => T {
  return (thrown) => {
    if (WireError.from(thrown).code !== "OUTCOME_UNKNOWN") throw thrown;
    return instead;
  };
}
