// The token that etcd gives for user and password: asked for when it is first needed and when it has become invalid
// (a simple token ends with the member's memory, any token with its time). Those who need it meanwhile share one
// question.
import { never, type Logger } from "@millrace/base";
import { AUTH } from "./etcd-api/auth.ts";
import { callOnce } from "./etcd-channel.ts";
import type { EtcdEndpoints } from "./etcd-endpoints.ts";
import { unlessAborted } from "./etcd-wait.ts";
import { AUTH_TEXT, failureOf, type Failure } from "./etcd-errors.ts";

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** `token` is empty when etcd wants none. */
export type TokenOutcome =
  { readonly kind: "token"; readonly token: string } | { readonly kind: "failed"; readonly failure: Failure };

export class EtcdTokens {
  readonly #credentials: Credentials;
  readonly #endpoints: EtcdEndpoints;
  readonly #logger: Logger;
  readonly #timeoutMs: number;
  #token: string | undefined;
  #asking: Promise<TokenOutcome> | undefined;

  constructor(
    credentials: Credentials,
    endpoints: EtcdEndpoints,
    options: { readonly logger: Logger; readonly timeoutMs: number },
  ) {
    this.#credentials = credentials;
    this.#endpoints = endpoints;
    this.#logger = options.logger;
    this.#timeoutMs = options.timeoutMs;
    if (credentials.user === "") this.#token = "";
  }

  /** @throws `signal.reason` */
  async token(signal: AbortSignal): Promise<TokenOutcome> {
    if (this.#token !== undefined) return { kind: "token", token: this.#token };
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return unlessAborted(this.#asking, signal);
  }

  /** `token` was refused. */
  forget(token: string): void {
    if (this.#credentials.user !== "" && this.#token === token) this.#token = undefined;
  }

  async #ask(): Promise<TokenOutcome> {
    const { user: name, password } = this.#credentials;
    const { channel } = this.#endpoints.current;
    const options = { metadata: new Map<string, string>(), timeoutMs: this.#timeoutMs };
    const outcome = await callOnce(channel, AUTH.authenticate, { name, password }, options, never);
    if (outcome.kind === "answer") this.#token = outcome.response.token;
    else if (outcome.kind === "end") {
      const failure = failureOf(outcome.end);
      if (!failure.error.message.includes(AUTH_TEXT.notEnabled)) return { kind: "failed", failure };
      this.#logger.warn("etcd-authentication-is-off", { user: name });
      this.#token = "";
    }
    return { kind: "token", token: this.#token ?? "" };
  }
}
