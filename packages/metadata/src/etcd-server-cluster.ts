// etcd's Cluster and Maintenance services: a cluster of one member, which is its own leader.
import { crc32c } from "@millrace/wal";
import { ByteWriter } from "./binary.ts";
import type { EmbeddedStore } from "./embedded-store.ts";
import { headerOf } from "./etcd-server-kv.ts";
import type {
  AlarmRequest,
  AlarmResponse,
  DefragmentResponse,
  HashKVRequest,
  HashKVResponse,
  MemberListResponse,
  StatusResponse,
} from "./etcd-api/cluster.ts";
import { etcdRefusal } from "./etcd-refusals.ts";
import { EVERYTHING } from "./key.ts";

/** What clients are told: the version whose API this is. Gazette asks for 3.5 or newer. */
export const ETCD_VERSION = "3.6.5";
export const ETCD_CLUSTER_VERSION = "3.6.0";
const MEMBER_NAME = "millrace";

export class ClusterService {
  readonly #store: EmbeddedStore;

  constructor(store: EmbeddedStore) {
    this.#store = store;
  }

  /** @param url at which the client reaches this member: it will go on with that */
  memberList(url: string): MemberListResponse {
    const { header } = this.#store;
    const member = {
      id: header.memberId,
      name: MEMBER_NAME,
      peerUrls: [],
      clientUrls: [url],
      isLearner: false,
    };
    return { header: headerOf(header), members: [member] };
  }

  status(): StatusResponse {
    const { header, logBytes } = this.#store;
    const index = BigInt(header.revision);
    const unhealthy = this.#store.unhealthy();
    return {
      header: headerOf(header),
      version: ETCD_VERSION,
      dbSize: logBytes,
      dbSizeInUse: logBytes,
      dbSizeQuota: 0,
      leader: header.memberId,
      raftIndex: index,
      raftAppliedIndex: index,
      raftTerm: header.raftTerm,
      errors: unhealthy === undefined ? [] : [unhealthy],
      isLearner: false,
      storageVersion: ETCD_CLUSTER_VERSION,
    };
  }

  /** The only alarm is that the log takes nothing; it ends by itself, so there is nothing to disarm. */
  alarm(request: AlarmRequest): AlarmResponse {
    if (request.action === "ACTIVATE") throw etcdRefusal("notSupported", "alarms cannot be activated");
    const { header } = this.#store;
    const isWanted = request.alarm === "NONE" || request.alarm === "NOSPACE";
    const isRaised = request.action === "GET" && isWanted && this.#store.unhealthy() !== undefined;
    const alarms = isRaised ? [{ memberId: header.memberId, alarm: "NOSPACE" } as const] : [];
    return { header: headerOf(header), alarms };
  }

  /** A checkpoint is what frees the log's space. */
  async defragment(): Promise<DefragmentResponse> {
    await this.#store.checkpoint();
    return { header: headerOf(this.#store.header) };
  }

  /** Equal for equal contents at a revision; not the number that etcd would give, whose files it sums up. */
  async hashKv(request: HashKVRequest, signal: AbortSignal): Promise<HashKVResponse> {
    const revision = Math.max(0, request.revision);
    const { header, kvs } = await this.#store.range({ key: EVERYTHING, end: EVERYTHING, revision }, signal);
    let hash = 0;
    for (const kv of kvs) {
      const to = new ByteWriter(64 + kv.key.length);
      to.uint(hash);
      to.key(kv.key);
      to.uint(kv.createRevision);
      to.uint(kv.modRevision);
      to.uint(kv.version);
      to.u64(kv.lease);
      to.uint(crc32c(kv.value));
      hash = crc32c(to.finish());
    }
    const hashRevision = revision === 0 ? header.revision : revision;
    const { compactRevision } = this.#store.history();
    return { header: headerOf(header), hash, compactRevision, hashRevision };
  }
}
