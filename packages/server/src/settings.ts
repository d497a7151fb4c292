// Every setting of the platform, once: name, kind, default, help. Flags (`--broker.listen`), environment
// (`MILLRACE_BROKER_LISTEN`), the YAML file (`broker: {listen: …}`) and `print-config` all come from this table.
import {
  addressKind,
  advertisedKind,
  authKeysKind,
  booleanKind,
  brokerIdKind,
  bytesKind,
  choiceKind,
  durationKind,
  etcdAddressKind,
  etcdPrefixKind,
  integerKind,
  listKind,
  storeKind,
  logLevelKind,
  networksKind,
  textKind,
  type Kind,
  type ListenAddress,
} from "./setting-kinds.ts";

export interface Setting<T> {
  readonly kind: Kind<T>;
  /** As it would be written. */
  readonly default: string;
  readonly help: string;
  /** Masked wherever it is shown. */
  readonly secret: boolean;
}

function setting<T>(kind: Kind<T>, fallback: string, help: string, secret = false): Setting<T> {
  return { kind, default: fallback, help, secret };
}

function listen(port: number, what: string): Setting<ListenAddress> {
  return setting(addressKind, `127.0.0.1:${port}`, `Address of ${what}; port 0 picks a free one`);
}

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const HOUR_MS = 3_600_000;

export const SETTINGS = {
  data: setting(textKind, "./millrace-data", "Data directory; one process at a time owns it"),
  "new-data": setting(
    choiceKind(["auto", "allow", "refuse"]),
    "auto",
    "Whether the data directory may be a new one: auto refuses that of a broker which had another one, as its etcd " +
      "knows, whose bytes nobody else has; allow: that one is lost for good; refuse: never",
  ),
  ports: setting(choiceKind(["default", "free"]), "default", "free: every listener picks a free port"),
  "log.level": setting(logLevelKind, "warn", "Least level that is logged to stderr"),
  "log.format": setting(
    choiceKind(["json", "text", "color"]),
    "json",
    "Form of the log's lines; with broker.host or broker.port text by default, of serve broker alone",
  ),
  "auth.token": setting(
    textKind,
    "",
    "Token that opens every door, and makes every door but the ingest paths ask for one, 16 characters or more; " +
      "listening beyond loopback needs it",
    true,
  ),
  "allow-anonymous": setting(booleanKind, "false", "Listen beyond loopback without authentication"),
  "etcd.listen": listen(2379, "the coordination store for other processes: etcd's v3 gRPC API"),
  "broker.listen": listen(8080, "the broker: journals over HTTP"),
  "api.listen": listen(8088, "the configuration API and the console"),
  "http-source.listen": listen(7000, "the HTTP source: records come in here"),
  "warehouse.listen": listen(8082, "SQL over HTTP"),
  "work.listen": listen(
    8089,
    "probes and metrics of storage-reader, storage-coordinator and warehouse with etcd.address, and of loads into " +
      "the warehouse from other processes",
  ),
  "work.public-url": setting(
    textKind,
    "",
    "Base URL at which other processes reach work.listen of the warehouse; default: its address",
  ),
  "http-source.public-url": setting(
    textKind,
    "",
    "Base of the source URLs that the API shows; default: the address",
  ),
  "http-source.trusted-proxies": setting(
    networksKind,
    "",
    "Addresses and networks (10.0.0.0/8, fd00::/8) of proxies whose X-Forwarded-For, or Forwarded, says who sent a " +
      "record, with commas between them; default: none, the peer did",
  ),
  "http-source.max-body": setting(bytesKind(100, 4 * MIB), "1MiB", "Bytes of a single record's body"),
  "http-source.max-batch": setting(
    bytesKind(100, 64 * MIB),
    "16MiB",
    "Bytes of an NDJSON or JSON array body",
  ),
  "http-source.quota": setting(
    bytesKind(0, 1024 * 1024 * 1024 * MIB),
    "0B",
    "Bytes of accepted records that may wait for the tables of all sinks; beyond, 507; 0B: any number",
  ),
  "http-source.max-connections": setting(
    integerKind(100, 1_000_000),
    "10000",
    "Connections open at a time, as far as descriptors allow",
  ),
  "http-source.request-timeout": setting(
    durationKind(1000, 60_000),
    "30s",
    "Time for a request's head (10s at most), for its body, and for its answer",
  ),
  "http-source.idle-timeout": setting(
    durationKind(1000, 60_000),
    "30s",
    "Time that an idle connection is kept",
  ),
  "broker.auth-keys": setting(
    authKeysKind,
    "",
    "Base64 keys, with commas or spaces between them, of tokens that callers of the broker sign: the first " +
      "signs, all verify; AA== among them lets in who has none",
    true,
  ),
  "broker.zone": setting(textKind, "local", "Zone of the broker, its failure domain"),
  "broker.id": setting(
    brokerIdKind,
    "",
    "Name of the broker in its zone, 4 to 128 characters; default: broker-1, with etcd.address one that its data " +
      "directory keeps",
  ),
  "broker.host": setting(
    textKind,
    "",
    "What others call this host. With this or broker.port the broker listens on every interface, as Gazette's does",
  ),
  "broker.port": setting(
    textKind,
    "",
    "Port in place of that of broker.listen, or unix:///PATH; without it a free one",
  ),
  "broker.advertise": setting(
    advertisedKind,
    "",
    "HOST:PORT at which other brokers and clients reach the broker, when that is not where it listens (a published " +
      "port, NAT, a proxy)",
  ),
  "broker.server-cert-file": setting(textKind, "", "Certificate of the broker (PEM): turns TLS on"),
  "broker.server-cert-key-file": setting(textKind, "", "Its private key (PEM)"),
  "broker.server-ca-file": setting(
    textKind,
    "",
    "Authorities (PEM) that clients' certificates must be from; without it clients need none",
  ),
  "broker.peer-cert-file": setting(textKind, "", "Certificate (PEM) that is shown to other brokers"),
  "broker.peer-cert-key-file": setting(textKind, "", "Its private key (PEM)"),
  "broker.peer-ca-file": setting(
    textKind,
    "",
    "Authorities (PEM) that other brokers' certificates must be from; default: those of the platform",
  ),
  "broker.max-grpc-recv-size": setting(
    integerKind(1024, GIB),
    "4194304",
    "Bytes of the largest gRPC message that is taken",
  ),
  "broker.allow-origin": setting(
    listKind,
    "",
    "Web origins that may use /v1 of the broker, with commas between them",
  ),
  // Gazette has 1024, where others take what one refuses: so has a broker of a cluster (CLUSTER_DEFAULTS).
  "broker.limit": setting(
    integerKind(0, 131_072),
    "131072",
    "Journals that the broker takes on at most; with etcd.address 1024 by default",
  ),
  "broker.file-root": setting(
    textKind,
    "",
    "Directory under which file:// stores are, also in processes without a broker; default: the data directory",
  ),
  "broker.file-only": setting(
    booleanKind,
    "false",
    "Use file:/// below broker.file-root for every store, whatever its URL",
  ),
  "broker.max-append-rate": setting(
    integerKind(0, 2 ** 32 - 1),
    "0",
    "Bytes a second that no journal exceeds; 0: no bound",
  ),
  "broker.min-append-rate": setting(
    integerKind(0, 2 ** 32 - 1),
    "65536",
    "Bytes a second that an append sustains while others wait for its journal",
  ),
  "broker.max-replication": setting(integerKind(1, 2 ** 32 - 1), "9", "Bound of every journal's replication"),
  "broker.watch-delay": setting(
    durationKind(0, 60_000),
    "0ms",
    "How long a change of the keyspace waits for more of them; with etcd.address 30ms by default",
  ),
  "etcd.address": setting(
    etcdAddressKind,
    "",
    "Members of the etcd that brokers of a cluster share, with commas between them; default, or empty: a store of " +
      "this process; with broker.host or broker.port http://localhost:2379 by default, of serve broker alone",
  ),
  "etcd.user": setting(textKind, "", "User of etcd, when it wants one"),
  "etcd.password": setting(textKind, "", "Password of that user", true),
  "etcd.cert-file": setting(textKind, "", "Certificate (PEM) that is shown to an https:// etcd"),
  "etcd.cert-key-file": setting(textKind, "", "Its private key (PEM)"),
  "etcd.trusted-ca-file": setting(
    textKind,
    "",
    "Authorities (PEM) that etcd's certificate must be from; default: those of the platform",
  ),
  "etcd.prefix": setting(
    etcdPrefixKind,
    "/gazette/cluster",
    "Root of the brokers' keys in the coordination store",
  ),
  "etcd.lease": setting(durationKind(1000, 3_600_000), "20s", "Life of the broker's session after its end"),
  "distribution.ttl": setting(
    durationKind(1000, 30_000),
    "5s",
    "How long a process that is gone keeps its share of the reading and loading of records; in whole seconds",
  ),
  "debug.port": setting(
    textKind,
    "",
    "Port of a plain listener for probes, metrics and diagnostics, on every interface",
  ),
  "debug.private": setting(booleanKind, "false", "Do not serve /debug on the broker's port"),
  "broker.segment-size": setting(bytesKind(MIB, GIB), "16MiB", "Bytes of one segment of the log"),
  "broker.memory": setting(bytesKind(MIB, 8 * GIB), "64MiB", "Recent journal bytes that are kept in memory"),
  "broker.connection-memory": setting(
    bytesKind(16 * MIB, 64 * GIB),
    "1GiB",
    "Bytes that connections of gRPC hold together for their clients; beyond it the one that holds most is ended",
  ),
  "broker.reserve": setting(
    bytesKind(0, 64 * GIB),
    "256MiB",
    "Free disk space below which appends are refused",
  ),
  "broker.auto-suspend": setting(booleanKind, "false", "Suspend journals that are idle and persisted"),
  "journal.store": setting(
    storeKind,
    "file:///fragments/",
    "Store of new journals' fragments: file, s3, gs, azure or azure-ad (docs/stores.md)",
  ),
  "journal.codec": setting(
    choiceKind(["NONE", "GZIP", "ZSTANDARD", "SNAPPY"]),
    "SNAPPY",
    "Codec of new journals",
  ),
  "journal.length": setting(
    bytesKind(1024, 16 * GIB),
    "64MiB",
    "Bytes after which a fragment of a new journal rolls",
  ),
  "stream.codec": setting(
    choiceKind(["NONE", "GZIP", "ZSTANDARD", "SNAPPY"]),
    "NONE",
    "Codec of the partition journals of sinks",
  ),
  "stream.partitions": setting(
    integerKind(1, 64),
    "1",
    "Partitions of each sink that the api makes from now on: journals, which brokers and storage-readers share",
  ),
  "stream.replication": setting(
    integerKind(1, 9),
    "1",
    "Brokers that have each partition journal of a sink: that of the http-source that creates it",
  ),
  "stream.key-memory": setting(
    bytesKind(MIB, 64 * GIB),
    "256MiB",
    "Memory for the Idempotency-Keys of all partitions that a process reads; beyond it those of the partitions whose " +
      "keys were used longest ago are read again from their journals",
  ),
  "stream.auto-suspend": setting(
    booleanKind,
    "true",
    "Suspend journals of sinks that are idle and persisted, as broker.auto-suspend does all: on the brokers",
  ),
  "staging.store": setting(
    storeKind,
    "file:///staging/",
    "Store in which staged records wait for their load, the same for all processes of an etcd: file, s3, gs, azure " +
      "or azure-ad (docs/stores.md)",
  ),
  "stream.retention": setting(
    durationKind(0, 365 * 24 * HOUR_MS),
    "24h",
    "Age at which imported bytes are removed",
  ),
  "stream.retention-size": setting(
    bytesKind(0, 1024 * GIB),
    "2GiB",
    "Bytes of imported records that are kept",
  ),
  "targets.file-root": setting(
    textKind,
    "",
    "Directory under which file:// targets of sinks are; default: tables below the data directory",
  ),
  "warehouse.memory": setting(
    bytesKind(64 * MIB, 1024 * GIB),
    "1GiB",
    "Memory of the SQL engine before it spills",
  ),
  "warehouse.threads": setting(
    integerKind(0, 1024),
    "0",
    "Threads of the SQL engine; 0: one less than there are cores",
  ),
  "encryption.provider": setting(
    choiceKind(["none", "aes", "aws-kms"]),
    "none",
    "How secrets of sources and targets are stored: none leaves them plain, aes seals them with a key of " +
      "encryption.key-file, aws-kms with a data key that encryption.kms-key wraps",
  ),
  "encryption.key-file": setting(
    textKind,
    "",
    "File of AES-256 keys, base64 of 32 bytes a line: the first seals, all open",
  ),
  "encryption.kms-key": setting(
    listKind,
    "",
    "Symmetric keys of AWS KMS: ARN, id or alias/NAME, with commas between them: the first wraps new data keys, all " +
      "unwrap",
  ),
  "encryption.kms-region": setting(
    textKind,
    "",
    "Region of encryption.kms-key; default: its ARN's, else the environment's or the profile's",
  ),
  "encryption.kms-endpoint": setting(
    textKind,
    "",
    "URL at which AWS KMS, or what speaks its protocol, is reached; default: the region's own",
  ),
  "encryption.kms-rotate-after": setting(
    durationKind(0, 10 * 365 * 24 * HOUR_MS),
    "0ms",
    "Age at which a data key is succeeded by a new one, which seals from then on; 0ms: never",
  ),
  "shutdown.timeout": setting(
    durationKind(1000, 600_000),
    "25s",
    "Time to finish what was accepted on SIGTERM",
  ),
} as const;

export type SettingName = keyof typeof SETTINGS;
type ValueOf<S> = S extends Setting<infer T> ? T : never;
export type Config = { readonly [N in SettingName]: ValueOf<(typeof SETTINGS)[N]> };

/** Of a broker that shares an etcd with others: Gazette's. */
export const CLUSTER_DEFAULTS: ReadonlyMap<SettingName, string> = new Map<SettingName, string>([
  ["broker.limit", "1024"],
  ["broker.watch-delay", "30ms"],
]);

/** `broker.listen` → `MILLRACE_BROKER_LISTEN`. */
export function environmentName(name: string): string {
  return `MILLRACE_${name.toUpperCase().replaceAll(/[.-]/g, "_")}`;
}

export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];
