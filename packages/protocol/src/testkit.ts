// Fixture builders: valid values with every option defaulted, so that what a test sets is what matters in it.
import type { EtcdHeader, Header, Route } from "./route.ts";
import type { BrokerSpec, ProcessId } from "./process.ts";
import type { Fragment } from "./fragment.ts";
import type { FragmentSpec, JournalSpec } from "./journal-spec.ts";
import { FLAG } from "./enums.ts";
import { EMPTY_LABELS } from "./label-set.ts";

/** A valid spec: one replica, 64 KiB fragments, no compression, no store, reads and appends. */
export function journalSpec(
  fields: Partial<Omit<JournalSpec, "fragment">> & { readonly fragment?: Partial<FragmentSpec> } = {},
): JournalSpec {
  return {
    name: "a/journal",
    replication: 1,
    labels: EMPTY_LABELS,
    flags: FLAG.O_RDWR,
    maxAppendRate: 0,
    ...fields,
    fragment: fragmentSpec(fields.fragment),
  };
}

export function fragmentSpec(fields: Partial<FragmentSpec> = {}): FragmentSpec {
  return {
    length: 1 << 16,
    compressionCodec: "NONE",
    stores: [],
    refreshIntervalMs: 60_000,
    retentionMs: 0,
    flushIntervalMs: 0,
    pathPostfixTemplate: "",
    ...fields,
  };
}

/** Bytes [0, 100) of `a/journal`, persisted nowhere. */
export function fragment(fields: Partial<Fragment> = {}): Fragment {
  return {
    journal: "a/journal",
    begin: 0,
    end: 100,
    sum: "0102030405060708090a0b0c0d0e0f1011121314",
    compressionCodec: "NONE",
    backingStore: "",
    modTime: 0,
    pathPostfix: "",
    ...fields,
  };
}

export function processId(fields: Partial<ProcessId> = {}): ProcessId {
  return { zone: "zone", suffix: "broker", ...fields };
}

export function brokerSpec(fields: Partial<BrokerSpec> = {}): BrokerSpec {
  return {
    id: processId(),
    endpoint: "http://broker:8080",
    journalLimit: 1024,
    exiting: false,
    holder: "",
    ...fields,
  };
}

/** One member, which is the primary. */
export function route(fields: Partial<Route> = {}): Route {
  return { members: [processId()], primary: 0, endpoints: ["http://broker:8080"], ...fields };
}

export function etcdHeader(fields: Partial<EtcdHeader> = {}): EtcdHeader {
  return { clusterId: 12n, memberId: 34n, revision: 56, raftTerm: 78n, ...fields };
}

export function header(fields: Partial<Header> = {}): Header {
  return { processId: processId(), route: route(), etcd: etcdHeader(), ...fields };
}
