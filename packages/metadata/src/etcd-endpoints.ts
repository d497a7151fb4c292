// The members of etcd that are known, and the one that is asked now.
//
// M1 Configured endpoints are never given up: members may advertise addresses that cannot be reached from here.
// M2 An advertised address counts only with the scheme of the configured ones: no password goes over a plain
//    connection because a member says so.
import { assert, WireError, type Logger } from "@millrace/base";
import type { RpcChannel } from "./etcd-channel.ts";

export interface Endpoint {
  readonly address: string;
  readonly channel: RpcChannel;
  /** What `Maintenance.Status` said, once asked. */
  version?: string;
}

export class EtcdEndpoints {
  readonly #configured: readonly string[];
  readonly #connect: (address: string) => RpcChannel;
  readonly #logger: Logger;
  #endpoints: Endpoint[];
  #at = 0;

  /** @throws {WireError} INVALID_ARGUMENT */
  constructor(configured: readonly string[], connect: (address: string) => RpcChannel, logger: Logger) {
    this.#configured = configured.map(normalized);
    if (this.#configured.length === 0) throw new WireError("INVALID_ARGUMENT", "etcd: no endpoint is given");
    const schemes = new Set(this.#configured.map(schemeOf));
    if (schemes.size > 1) throw new WireError("INVALID_ARGUMENT", "etcd: endpoints mix http, https and unix");
    this.#connect = connect;
    this.#logger = logger;
    this.#endpoints = [...new Set(this.#configured)].map((address) => this.#open(address));
  }

  get count(): number {
    return this.#endpoints.length;
  }

  get addresses(): readonly string[] {
    return this.#endpoints.map(({ address }) => address);
  }

  get current(): Endpoint {
    const endpoint = this.#endpoints[this.#at];
    assert(endpoint !== undefined, "there is always an endpoint");
    return endpoint;
  }

  /** Goes on to the next one, unless somebody else has done so already. */
  failed(endpoint: Endpoint): void {
    if (endpoint !== this.current || this.count === 1) return;
    this.#at = (this.#at + 1) % this.count;
    this.#logger.warn("etcd-endpoint-failed", { endpoint: endpoint.address, next: this.current.address });
  }

  /** Takes over what the members advertise (M1, M2). @returns channels that are not used any more, to be closed */
  learn(advertised: readonly string[]): readonly RpcChannel[] {
    const scheme = schemeOf(this.#configured[0]!);
    const usable = advertised
      .flatMap((one) => tryNormalized(one) ?? [])
      .filter((one) => schemeOf(one) === scheme);
    const wanted = new Set([...this.#configured, ...usable.slice(0, ENDPOINTS_MAX)]);
    const kept = this.#endpoints.filter(({ address }) => wanted.has(address));
    const known = new Set(kept.map(({ address }) => address));
    const added = [...wanted].filter((address) => !known.has(address));
    if (kept.length === this.count && added.length === 0) return [];
    const dropped = this.#endpoints.filter((one) => !kept.includes(one)).map(({ channel }) => channel);
    const { current } = this;
    this.#endpoints = [...kept, ...added.map((address) => this.#open(address))];
    this.#at = Math.max(0, this.#endpoints.indexOf(current));
    this.#logger.info("etcd-endpoints-changed", { endpoints: this.addresses });
    return dropped;
  }

  async close(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#endpoints.map(({ channel }) => channel.close(signal)));
  }

  #open(address: string): Endpoint {
    return { address, channel: this.#connect(address) };
  }
}

/** Advertised addresses that are taken over: a cluster has 3 or 5 members. */
const ENDPOINTS_MAX = 32;

/** `http://HOST:PORT`, `https://HOST:PORT` or `unix:///PATH`. @throws {WireError} INVALID_ARGUMENT */
function normalized(address: string): string {
  const found = tryNormalized(address);
  if (found !== undefined) return found;
  throw new WireError(
    "INVALID_ARGUMENT",
    `etcd endpoint ${address}: expected http://HOST:PORT, https://HOST:PORT or unix:///PATH`,
  );
}

function tryNormalized(address: string): string | undefined {
  if (/^unix:\/\/[^/]*\/./.test(address)) return address;
  const found = /^(https?):\/\/([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?\/?$/.exec(address);
  if (found === null) return undefined;
  const [, scheme, host, port = "2379"] = found;
  return Number(port) >= 1 && Number(port) <= 65535 ? `${scheme}://${host}:${port}` : undefined;
}

function schemeOf(address: string): string {
  return address.slice(0, address.indexOf(":"));
}
