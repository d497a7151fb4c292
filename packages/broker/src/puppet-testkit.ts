// Brokers of a test cluster that are puppets: each has a member key, listens, and answers as its script says.
import { never, utf8, WireError } from "@millrace/base";
import { keyOf, prefixRange } from "@millrace/metadata";
import {
  encodeBrokerSpec,
  memberKey,
  newFragment,
  type ProcessId,
  type ReadRequest,
  type ReadResponse,
} from "@millrace/protocol";
import { DEFAULT_ROOT } from "./broker.ts";
import type { TestCluster } from "./cluster-testkit.ts";
import type { ServedBroker } from "./network-testkit.ts";
import type { FetchRequest, ProxiedCalls } from "./peer-network.ts";

export type ReadScript = (request: ReadRequest, signal: AbortSignal) => AsyncIterable<ReadResponse>;

export interface PuppetOptions {
  readonly suffix: string;
  readonly holder?: string;
  readonly append?: ProxiedCalls["append"];
  readonly read?: ReadScript;
  readonly fetch?: (request: FetchRequest, signal: AbortSignal) => AsyncIterable<Uint8Array>;
}

export interface Puppet {
  readonly id: ProcessId;
  /** Reads that came. */
  readonly requests: ReadRequest[];
  /** Takes its keys out of the keyspace. */
  readonly leave: () => Promise<void>;
}

export async function openPuppet(cluster: TestCluster, options: PuppetOptions): Promise<Puppet> {
  const refuse = async (): Promise<never> => {
    throw notHere();
  };
  const { suffix, holder = "", append = refuse, read, fetch } = options;
  const id = { zone: "p", suffix };
  const requests: ReadRequest[] = [];
  const served: ServedBroker = {
    transport: {
      append,
      listFragments: refuse,
      read: (request, signal) => {
        requests.push(request);
        if (read === undefined) throw new WireError("UNAVAILABLE", "no script");
        return read(request, signal);
      },
    },
    peers: {
      hold: refuse,
      digest: refuse,
      fetch: (request, signal) => {
        if (fetch === undefined) throw notHere();
        return fetch(request, signal);
      },
      replicate: () => {
        throw notHere();
      },
    },
  };
  cluster.network.serve(id, served);
  const key = memberKey(DEFAULT_ROOT, id);
  const spec = { id, endpoint: `http://${suffix}`, journalLimit: 100, exiting: false, holder };
  const put = { kind: "put", key, value: encodeBrokerSpec(spec) } as const;
  await cluster.coordination.txn({ compare: [], success: [put] }, never);
  const leave = async (): Promise<void> => {
    const assigned = prefixRange(keyOf(`${DEFAULT_ROOT}/assign/`));
    const { kvs } = await cluster.coordination.range(assigned, never);
    const mine = kvs.filter((kv) => kv.key.includes(`#${suffix}#`)).map((kv) => kv.key);
    const success = [key, ...mine].map((each) => ({ kind: "delete", key: each }) as const);
    await cluster.coordination.txn({ compare: [], success }, never);
  };
  return { id, requests, leave };
}

function notHere(): WireError {
  return new WireError("NOT_FOUND", "not here");
}

/** Reads of a broker that has `content` from `begin` on, in one fragment, with a header as brokers send it. */
export async function* serves(
  request: ReadRequest,
  content: string,
  begin = 0,
): AsyncGenerator<ReadResponse> {
  const { journal, offset, header, endOffset } = request;
  const [first, end] = [{ ...(header && { header }) }, begin + content.length];
  const notYet = { status: "OFFSET_NOT_YET_AVAILABLE", writeHead: end, fragmentUrl: "" } as const;
  if (offset < begin || offset >= end) {
    yield { ...first, ...notYet, offset: offset === -1 ? end : offset };
    return;
  }
  const fragment = newFragment({ journal, begin, end, compressionCodec: "NONE" });
  yield { status: "OK", ...first, offset, writeHead: end, fragment, fragmentUrl: "" };
  if (request.metadataOnly) return;
  const to = endOffset === 0 ? end : Math.min(end, endOffset);
  const bytes = utf8(content.slice(offset - begin, to - begin));
  yield { status: "OK", offset, writeHead: 0, fragmentUrl: "", content: bytes };
  if (to === end && !request.block) yield { ...notYet, offset: end };
}

export function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
}
