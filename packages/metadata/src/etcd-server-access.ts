// Who may call the etcd server: nobody is asked until the store has authentication enabled or the process has a token;
// then every call but Authenticate needs the token of a user with the role root, or the process's own.
//
// Stricter than etcd, which lets everybody grant leases and ask for the status: whoever is not authenticated learns
// nothing about what exists.
import { bearsToken, equalSecret, hex, type Clock, type Random } from "@millrace/base";
import {
  changeAuth,
  ROOT,
  userOf,
  type AuthChange,
  type AuthState,
  type PasswordHash,
} from "./auth-state.ts";
import type { StoreHeader } from "./coordination.ts";
import type { EmbeddedStore } from "./embedded-store.ts";
import { etcdRefusal } from "./etcd-refusals.ts";
import { AUTH_TOKENS_MAX, PASSWORDS_WAITING_MAX } from "./limits.ts";

/** Derives what is kept of a password; takes about 50 ms of a core. */
export type HashPassword = (password: string, salt: Uint8Array) => Promise<Uint8Array>;

/** A token that nobody used for so long is gone, as etcd's. */
const TOKEN_TTL_MS = 300_000;
const SALT_BYTES = 16;

interface Token {
  readonly user: string;
  readonly endMs: number;
}

export interface AccessPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly hashPassword: HashPassword;
}

export class Access {
  readonly #store: EmbeddedStore;
  readonly #ports: AccessPorts;
  /** Token of the process, "" when it has none. Also the password of root. */
  readonly #processToken: string;
  /** Least recently used first. */
  readonly #tokens = new Map<string, Token>();
  #hashing = 0;

  constructor(store: EmbeddedStore, processToken: string, ports: AccessPorts) {
    this.#store = store;
    this.#ports = ports;
    this.#processToken = processToken;
  }

  /** Users and settings as the newest change left them, durable or not: a change that is on its way counts. */
  get state(): AuthState {
    return this.#store.auth;
  }

  get isOn(): boolean {
    return this.#processToken !== "" || this.state.enabled;
  }

  /** @throws {WireError} etcd's refusals */
  check(metadata: ReadonlyMap<string, string>): void {
    if (!this.isOn) return;
    const authorization = metadata.get("authorization");
    const token = metadata.get("token") ?? authorization;
    if (token === undefined) throw etcdRefusal("userEmpty");
    if (this.#processToken !== "") {
      if (bearsToken(authorization, this.#processToken) || equalSecret(token, this.#processToken)) return;
    }
    const user = this.#userOf(token);
    if (user === undefined) throw etcdRefusal("invalidToken");
    if (user !== ROOT || this.#processToken === "") {
      if (userOf(this.state, user)?.isRoot !== true) throw etcdRefusal("permissionDenied");
    }
  }

  /** @returns a token @throws {WireError} etcd's refusals */
  async authenticate(name: string, password: string): Promise<string> {
    if (!this.isOn) throw etcdRefusal("authNotEnabled");
    if (name === ROOT && this.#processToken !== "" && equalSecret(password, this.#processToken)) {
      return this.#assign(name);
    }
    const user = this.state.enabled ? userOf(this.state, name) : undefined;
    // Unknown users take as long as wrong passwords.
    const known = user?.password ?? { salt: new Uint8Array(SALT_BYTES), hash: new Uint8Array(0) };
    const hash = await this.#hash(password, known.salt);
    const isRight = equalSecret(hex(hash), hex(known.hash));
    const now = userOf(this.state, name);
    if (!isRight || user === undefined || now?.password !== user.password) throw etcdRefusal("authFailed");
    return this.#assign(name);
  }

  /** What is to be kept of a new password. @throws {WireError} OVERLOADED */
  async newPassword(password: string): Promise<PasswordHash> {
    const salt = this.#ports.random.fill(new Uint8Array(SALT_BYTES));
    return { salt, hash: await this.#hash(password, salt) };
  }

  /** @returns the header of the answer, once the change is durable @throws {WireError} etcd's refusals */
  async change(change: AuthChange, signal: AbortSignal): Promise<StoreHeader> {
    const header = await this.#store.decide((state) => {
      const auth = changeAuth(state.auth, change);
      const record = auth === state.auth ? undefined : ({ kind: "auth-changed", auth } as const);
      return { record, respond: () => state.header(state.revision) };
    }, signal);
    if (change.kind === "disable") this.#tokens.clear();
    if (change.kind === "user-password" || change.kind === "user-delete") this.#forget(change.name);
    return header;
  }

  #userOf(token: string): string | undefined {
    const nowMs = this.#ports.clock.monotonicMs();
    const found = this.#tokens.get(token);
    this.#tokens.delete(token);
    if (found === undefined || found.endMs <= nowMs) return undefined;
    this.#tokens.set(token, { user: found.user, endMs: nowMs + TOKEN_TTL_MS });
    return found.user;
  }

  #assign(user: string): string {
    const token = hex(this.#ports.random.fill(new Uint8Array(16)));
    const [oldest] = this.#tokens.keys();
    if (this.#tokens.size >= AUTH_TOKENS_MAX && oldest !== undefined) this.#tokens.delete(oldest);
    this.#tokens.set(token, { user, endMs: this.#ports.clock.monotonicMs() + TOKEN_TTL_MS });
    return token;
  }

  #forget(user: string): void {
    for (const [token, known] of this.#tokens) if (known.user === user) this.#tokens.delete(token);
  }

  /** Guessing costs the guesser an answer, not this process its cores. */
  async #hash(password: string, salt: Uint8Array): Promise<Uint8Array> {
    if (this.#hashing >= PASSWORDS_WAITING_MAX) {
      throw etcdRefusal("tooManyRequests", `${PASSWORDS_WAITING_MAX} passwords wait`);
    }
    this.#hashing++;
    try {
      return await this.#ports.hashPassword(password, salt);
    } finally {
      this.#hashing--;
    }
  }
}
