// The embedded store served over etcd's v3 gRPC API, so that other processes, Millrace's or not, coordinate through it
// without an etcd. The transport is @millrace/grpc; this makes the handlers of its calls.
//
// S1 Whoever may not use the store learns nothing: access is checked before a request is decoded.
// S2 Every call ends: with its answer, or with the status that etcd has for the case.
import type { Clock, Logger, Metrics, Random } from "@millrace/base";
import type { CallHandler, CallHandlers, ServerCall } from "@millrace/grpc";
import type { EmbeddedStore } from "./embedded-store.ts";
import { AUTH } from "./etcd-api/auth.ts";
import { CLUSTER, MAINTENANCE } from "./etcd-api/cluster.ts";
import { KV } from "./etcd-api/kv.ts";
import { LEASE } from "./etcd-api/lease.ts";
import type { Method } from "./etcd-api/method.ts";
import { WATCH } from "./etcd-api/watch.ts";
import { Access, type HashPassword } from "./etcd-server-access.ts";
import { AuthService } from "./etcd-server-auth.ts";
import { UnaryCall, end, statusOf, type Answer } from "./etcd-server-calls.ts";
import { ClusterService } from "./etcd-server-cluster.ts";
import { KvService } from "./etcd-server-kv.ts";
import { LeaseService } from "./etcd-server-lease.ts";
import { KeepAliveCall, WatchCall, type StreamCall, type WatchPorts } from "./etcd-server-streams.ts";
import { etcdRefusal } from "./etcd-refusals.ts";
import { WatchStream } from "./watch-stream.ts";

export interface EtcdServerOptions {
  readonly store: EmbeddedStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly hashPassword: HashPassword;
  /** Token of the process, which is also the password of the user root; "" for none. */
  readonly token: string;
  /** Where clients reach this server when their request does not say: `127.0.0.1:2379`. */
  readonly address: () => string;
}

/** The embedded store as etcd's services. */
export class EtcdServer {
  readonly #handlers = new Map<string, CallHandler>();
  /** Streams under way: they end only when somebody ends them. */
  readonly #streams = new Set<StreamCall>();
  #isStopping = false;
  readonly #options: EtcdServerOptions;
  readonly #ports: WatchPorts;
  readonly #access: Access;

  constructor(options: EtcdServerOptions) {
    const { store, clock, logger, metrics } = options;
    this.#options = options;
    this.#access = new Access(store, options.token, options);
    this.#ports = {
      clock,
      logger,
      calls: metrics.counter(
        "millrace_etcd_calls_total",
        "Calls of the etcd API that ended, by method and code.",
      ),
      watches: metrics.gauge("millrace_etcd_watches", "Watches of clients of the etcd API."),
    };
    const leases = new LeaseService(store);
    this.#keys(new KvService(store));
    this.#leases(leases);
    this.#cluster(new ClusterService(store));
    this.#users(new AuthService(store, this.#access));
    this.#stream(WATCH.watch, (call) => {
      const permit = (): string | undefined => this.#denial(call);
      const history = store.history();
      const stream = new WatchStream(history, permit);
      return new WatchCall(call, this.#ports, { stream, history }, this.#streams);
    });
    this.#stream(LEASE.leaseKeepAlive, (call) => {
      return new KeepAliveCall(call, this.#ports, leases, this.#streams);
    });
  }

  /** For the transport, by path. */
  get handlers(): CallHandlers {
    return this.#handlers;
  }

  /** Takes no more calls and ends the streams; single calls under way end by themselves. */
  stop(): void {
    this.#isStopping = true;
    for (const stream of this.#streams) stream.stop();
  }

  #keys(keys: KvService): void {
    this.#unary(KV.range, (request, { signal }) => keys.range(request, signal));
    this.#unary(KV.put, (request, { signal }) => keys.put(request, signal));
    this.#unary(KV.deleteRange, (request, { signal }) => keys.deleteRange(request, signal));
    this.#unary(KV.txn, (request, { signal }) => keys.txn(request, signal));
    this.#unary(KV.compact, (request, { signal }) => keys.compact(request, signal));
  }

  #leases(leases: LeaseService): void {
    this.#unary(LEASE.leaseGrant, (request, { signal }) => leases.grant(request, signal));
    this.#unary(LEASE.leaseRevoke, (request, { signal }) => leases.revoke(request, signal));
    this.#unary(LEASE.leaseTimeToLive, (request, { signal }) => leases.timeToLive(request, signal));
    this.#unary(LEASE.leaseLeases, (_request, { signal }) => leases.leases(signal));
  }

  #cluster(cluster: ClusterService): void {
    this.#unary(CLUSTER.memberList, (_request, call) => cluster.memberList(this.#urlFor(call)));
    this.#unary(MAINTENANCE.status, () => cluster.status());
    this.#unary(MAINTENANCE.alarm, (request) => cluster.alarm(request));
    this.#unary(MAINTENANCE.defragment, () => cluster.defragment());
    this.#unary(MAINTENANCE.hashKv, (request, { signal }) => cluster.hashKv(request, signal));
  }

  #users(users: AuthService): void {
    this.#call(AUTH.authenticate, (request) => users.authenticate(request));
    this.#unary(AUTH.authEnable, (_request, { signal }) => users.change({ kind: "enable" }, signal));
    this.#unary(AUTH.authDisable, (_request, { signal }) => users.change({ kind: "disable" }, signal));
    this.#unary(AUTH.authStatus, () => users.status());
    this.#unary(AUTH.userAdd, (request, { signal }) => users.userAdd(request, signal));
    this.#unary(AUTH.userGet, ({ name }) => users.userGet(name));
    this.#unary(AUTH.userList, () => users.userList());
    this.#unary(AUTH.userDelete, ({ name }, { signal }) =>
      users.change({ kind: "user-delete", name }, signal),
    );
    this.#unary(AUTH.userChangePassword, (request, { signal }) => users.userPassword(request, signal));
    this.#unary(AUTH.userGrantRole, ({ user, role }, { signal }) =>
      users.change({ kind: "role-grant", name: user, role }, signal),
    );
    this.#unary(AUTH.userRevokeRole, ({ name, role }, { signal }) =>
      users.change({ kind: "role-revoke", name, role }, signal),
    );
    this.#unary(AUTH.roleAdd, ({ name }, { signal }) =>
      users.change({ kind: "role-add", role: name }, signal),
    );
    this.#unary(AUTH.roleDelete, ({ role }, { signal }) =>
      users.change({ kind: "role-delete", role }, signal),
    );
    this.#unary(AUTH.roleGet, ({ role }) => users.roleGet(role));
    this.#unary(AUTH.roleList, () => users.roleList());
    this.#unary(AUTH.roleGrantPermission, ({ name }) => users.permission(name));
    this.#unary(AUTH.roleRevokePermission, ({ role }) => users.permission(role));
  }

  /** A call that needs no access. */
  #call<Request, Response>(method: Method<Request, Response>, answer: Answer<Request, Response>): void {
    this.#handlers.set(method.path, (call) => new UnaryCall(call, this.#ports, method, answer));
  }

  /** A call that needs access, which is looked for when the request is there (S1). */
  #unary<Request, Response>(method: Method<Request, Response>, answer: Answer<Request, Response>): void {
    this.#guarded(method, (call) => new UnaryCall(call, this.#ports, method, answer));
  }

  #stream<Request, Response>(method: Method<Request, Response>, handler: CallHandler): void {
    this.#guarded(method, handler);
  }

  #guarded(method: { readonly path: string }, handler: CallHandler): void {
    this.#handlers.set(method.path, (call) => {
      if (this.#isStopping || this.#options.store.history().isClosed)
        return this.#refused(call, etcdRefusal("stopped"));
      try {
        this.#access.check(call.metadata);
      } catch (error) {
        return this.#refused(call, error);
      }
      return handler(call);
    });
  }

  #refused(call: ServerCall, error: unknown): ReturnType<CallHandler> {
    const { code, message } = statusOf(error);
    end(call, this.#ports, code, message);
    return NOBODY;
  }

  #denial(call: ServerCall): string | undefined {
    try {
      this.#access.check(call.metadata);
      return undefined;
    } catch (error) {
      return statusOf(error).message;
    }
  }

  /** By the name that the client itself used: whatever this process is called elsewhere, that reaches it. */
  #urlFor({ authority, peer }: ServerCall): string {
    const isHost = /^(?:[\w.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\]):\d{1,5}$/.test(authority);
    return `${peer.isTls ? "https" : "http"}://${isHost ? authority : this.#options.address()}`;
  }
}

/** Listens to a call that is over. */
const NOBODY: ReturnType<CallHandler> = { onMessage: () => undefined, onHalfClose: () => undefined };
