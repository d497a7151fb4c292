// How to reach etcd: settings as a configuration has them, with their defaults and texts.
import type { Clock, Logger, Metrics, Random } from "@millrace/base";
import type { RpcChannel } from "./etcd-channel.ts";

export interface EtcdSettings {
  readonly endpoints: readonly string[];
  /** Empty: no authentication. */
  readonly user: string;
  readonly password: string;
  /** Longest time of a request, all attempts together. */
  readonly requestTimeoutMs: number;
  /** Longest time of one attempt of a request that may be repeated. */
  readonly attemptTimeoutMs: number;
  /** How often the cluster's members are asked for; 0: never. */
  readonly syncMs: number;
  /** How often a watch that wants progress asks for it. */
  readonly progressMs: number;
}

export const ETCD_DEFAULTS: EtcdSettings = {
  endpoints: ["http://localhost:2379"],
  user: "",
  password: "",
  requestTimeoutMs: 10_000,
  attemptTimeoutMs: 3000,
  syncMs: 60_000,
  progressMs: 1000,
};

/** One line for each setting, for the help of a command. */
export const ETCD_TEXTS: Readonly<Record<keyof EtcdSettings, string>> = {
  endpoints: "Members of etcd, http://HOST:PORT, https://HOST:PORT or unix:///PATH; the others are asked for",
  user: "User name, when etcd wants one",
  password: "Password of the user",
  requestTimeoutMs: "Milliseconds after which a request to etcd fails, all attempts together",
  attemptTimeoutMs: "Milliseconds after which a request that may be repeated goes to another member",
  syncMs: "Milliseconds between looks at the cluster's member list; 0: never",
  progressMs: "Milliseconds between a watch's questions for how far etcd is",
};

export interface EtcdPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics?: Metrics;
  /** A channel to `http://HOST:PORT`, `https://HOST:PORT` or `unix:///PATH`; TLS is its affair. */
  readonly connect: (address: string) => RpcChannel;
}
