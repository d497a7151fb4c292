export type {
  Compare,
  CompareOp,
  CoordinationStore,
  Key,
  KeyValue,
  RangeRequest,
  RangeResponse,
  StoreEvent,
  StoreHeader,
  StoreOp,
  StoreOpResult,
  TxnRequest,
  TxnResponse,
  WatchBatch,
  WatchRequest,
} from "./coordination.ts";
export { EVERYTHING, inRange, keyOf, prefixEnd, prefixRange, textOf } from "./key.ts";
export {
  EmbeddedStore,
  openEmbeddedStore,
  type EmbeddedStoreOptions,
  type LeaseStatus,
} from "./embedded-store.ts";
export type { JournalVisitor, RecoverJournal, StoreJournal } from "./journal.ts";
export {
  Keyspace,
  type KeyspaceChange,
  type KeyspaceEntry,
  type KeyspaceObserver,
  type KeyspaceOptions,
} from "./keyspace.ts";
export { addMirrorMetrics, type MirrorSize } from "./mirror-metrics.ts";
export { SharedTxns, type TxnPart } from "./shared-txns.ts";
export { openSession, Session, type SessionOptions } from "./session.ts";
export {
  atomically,
  type AtomicOptions,
  type AtomicOutcome,
  type AtomicPlan,
  type AtomicReads,
} from "./atomic.ts";
export { EtcdServer, type EtcdServerOptions } from "./etcd-server.ts";
export { ETCD_CLUSTER_VERSION, ETCD_VERSION } from "./etcd-server-cluster.ts";
export { hashPassword } from "./system-password.ts";
export { openDurableStore, type DurableStoreOptions } from "./durable-store.ts";
export * as etcdAuth from "./etcd-api/auth.ts";
export * as etcdCluster from "./etcd-api/cluster.ts";
export * as etcdKv from "./etcd-api/kv.ts";
export * as etcdLease from "./etcd-api/lease.ts";
export * as etcdWatch from "./etcd-api/watch.ts";
export type { Method as EtcdMethod } from "./etcd-api/method.ts";
export { EtcdStore, openEtcdStore } from "./etcd-store.ts";
export { dialEtcd, type EtcdDialOptions } from "./etcd-dial.ts";
export { ETCD_DEFAULTS, ETCD_TEXTS, type EtcdPorts, type EtcdSettings } from "./etcd-options.ts";
export { HashRing } from "./hash-ring.ts";
export { LeasedKeys, type LeasedKey, type LeasedKeysOptions } from "./leased-keys.ts";
export { tryLock, type LeasedLock, type LockOutcome } from "./leased-lock.ts";
export { MemberGroup, wholeShare, type GroupShare, type MemberGroupOptions } from "./member-group.ts";
