// Where a process keeps who owns what: in a store of its own, or in an etcd that it shares with others.
import { WireError } from "@millrace/base";
import {
  dialEtcd,
  ETCD_DEFAULTS,
  openDurableStore,
  openEtcdStore,
  type CoordinationStore,
  type EmbeddedStore,
  type EtcdStore,
  type StoreHeader,
} from "@millrace/metadata";
import { COORDINATION_DIR } from "./data-layout.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { PartContext } from "./part-context.ts";
import { clientTls } from "./system-client-tls.ts";
import { openMember, refuseMember, type Member } from "./system-member-file.ts";
import type { Config } from "./settings.ts";
import { ETCD_TLS_NAMES } from "./system-tls-files.ts";

/** One or the other. */
export type Coordination =
  | { readonly kind: "own"; readonly store: EmbeddedStore }
  | { readonly kind: "etcd"; readonly store: CoordinationStore; readonly member: Member };

/** Silence of etcd that is worth a word: its members take turns, and elect a leader within a second or two. */
const SILENT_MS = 3000;
/** How often an etcd that refuses is asked again at the start. */
const REFUSED_RETRY_MS = 2000;
const PROBE_LEASE_SECONDS = 5;
/** Begin of keys that every process has to reach. A role for what is below it lacks the key without the slash. */
const OWN_PREFIX = "/millrace/";

export function isCluster(config: Config): boolean {
  return config["etcd.address"].length > 0;
}

/**
 * Waits for as long as no member of the etcd answers.
 * @throws {WireError} CONFLICT when the data directory belongs elsewhere; what etcd refuses
 */
export async function openCoordination(
  lifecycle: Lifecycle,
  context: Omit<PartContext, "coordination">,
  signal: AbortSignal,
): Promise<Coordination> {
  const { config, health } = context;
  if (isCluster(config)) return openEtcd(lifecycle, context, signal);
  refuseMember(context.dataDirectory);
  const store = await lifecycle.start(
    "coordination",
    () => openDurableStore({ ...context, dir: COORDINATION_DIR }),
    (opened) => opened.close(),
  );
  health.addReason(() => store.unhealthy());
  return { kind: "own", store };
}

async function openEtcd(
  lifecycle: Lifecycle,
  context: Omit<PartContext, "coordination">,
  signal: AbortSignal,
): Promise<Coordination> {
  const { config, health, dataDirectory, random } = context;
  let hasAnswered = false;
  let refusal = "";
  health.addReason(() => (hasAnswered ? undefined : `etcd has not answered yet${refusal}`));
  const store = await lifecycle.start(
    "coordination",
    () => openKnown(config, { ...context, connect: dialer(context) }, signal),
    (started) => started.close(),
  );
  const header = await firstAnswer(store, context, (text) => (refusal = `: ${text}`), signal);
  const member = openMember(
    dataDirectory,
    { cluster: header.clusterId, prefix: config["etcd.prefix"] },
    random,
  );
  hasAnswered = true;
  health.addDegradation(() => silence(store.silentMs));
  health.addDegradation(() => store.alarm && `etcd has an alarm: ${store.alarm}`);
  return { kind: "etcd", store, member };
}

/** @throws {WireError} of etcd, with its address, and what to set when it does not know this side */
async function openKnown(
  config: Config,
  ports: Parameters<typeof openEtcdStore>[1],
  signal: AbortSignal,
): Promise<EtcdStore> {
  const settings = etcdSettings(config);
  try {
    return await openEtcdStore(settings, ports, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    const error = WireError.from(thrown);
    const isOfUser = error.code === "UNAUTHENTICATED" || /user name|user ID|password/.test(error.message);
    const remedy = isOfUser ? ": set etcd.user and etcd.password to a user that it knows" : "";
    const text = `etcd at ${settings.endpoints.join(",")}: ${error.message}${remedy}`;
    throw new WireError(error.code, text, { cause: error });
  }
}

/** What etcd can be read of is no answer yet: under an alarm it gives nobody a lease. */
async function firstAnswer(
  store: EtcdStore,
  { clock, logger }: Pick<PartContext, "clock" | "logger">,
  onRefused: (text: string) => void,
  signal: AbortSignal,
): Promise<StoreHeader> {
  for (;;) {
    try {
      const { header } = await store.range({ key: OWN_PREFIX, countOnly: true }, signal);
      await store.revokeLease(await store.grantLease(PROBE_LEASE_SECONDS, signal), signal);
      return header;
    } catch (thrown) {
      signal.throwIfAborted();
      const { code, message } = WireError.from(thrown);
      // A lease of which nothing is known ends by itself.
      const isPassing = code === "UNAVAILABLE" || code === "OUTCOME_UNKNOWN";
      if (!isPassing && store.alarm === undefined) throw thrown;
      onRefused(message);
      logger.warn("etcd-refuses", { error: message, retryMs: REFUSED_RETRY_MS });
      await clock.sleep(REFUSED_RETRY_MS, signal);
    }
  }
}

function etcdSettings(config: Config) {
  const user = config["etcd.user"];
  const password = config["etcd.password"];
  if (user === "" && password !== "")
    throw new WireError("INVALID_ARGUMENT", "etcd.password is given without etcd.user");
  return { ...ETCD_DEFAULTS, endpoints: config["etcd.address"], user, password };
}

function dialer({ config, clock, logger }: Pick<PartContext, "config" | "clock" | "logger">) {
  const files = {
    cert: config["etcd.cert-file"],
    key: config["etcd.cert-key-file"],
    ca: config["etcd.trusted-ca-file"],
  };
  return dialEtcd({ clock, logger, tls: clientTls(files, ETCD_TLS_NAMES, logger) });
}

/** What is served goes on without etcd until the lease is over. */
function silence(silentMs: number): string | undefined {
  if (silentMs < SILENT_MS) return undefined;
  return `etcd has not answered for ${Math.floor(silentMs / 1000)} s`;
}
