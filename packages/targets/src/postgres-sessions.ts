// The sessions of one connection: so many at once, kept for a while between two uses.
import { abortScope, Gate, waitUntil, WireError, type Clock } from "@millrace/base";
import { CALL_MS, SESSION_IDLE_MS, SESSIONS_MAX } from "./limits.ts";
import type { PostgresConnection } from "./postgres-connection.ts";
import { PostgresSession } from "./postgres-session.ts";

interface Idle {
  readonly session: PostgresSession;
  readonly cancel: () => void;
}

export class PostgresSessions {
  readonly #connection: PostgresConnection;
  readonly #clock: Clock;
  readonly #idle: Idle[] = [];
  readonly #freed = new Gate();
  #used = 0;
  #isClosed = false;

  constructor(connection: PostgresConnection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  /**
   * Runs `work` with a session of its own. One in which something went wrong is not used again.
   * @param callMs how long all of it may take, waiting for a session included
   */
  async use<T>(
    signal: AbortSignal,
    work: (session: PostgresSession) => Promise<T>,
    callMs = CALL_MS,
  ): Promise<T> {
    const scope = abortScope(signal);
    const cancel = this.#clock.after(callMs, () => {
      scope.abort(new WireError("OUTCOME_UNKNOWN", `PostgreSQL has not answered in ${callMs} ms`));
    });
    try {
      await waitUntil(this.#freed, () => this.#used < SESSIONS_MAX, scope.signal);
      this.#used++;
      try {
        return await this.#useOne(scope.signal, work);
      } finally {
        this.#used--;
        this.#freed.open();
      }
    } finally {
      cancel();
      scope.dispose();
    }
  }

  /** Ends idle sessions now and the others after their use. */
  close(): void {
    this.#isClosed = true;
    for (const { session, cancel } of this.#idle.splice(0)) {
      cancel();
      session.destroy();
    }
  }

  async #useOne<T>(signal: AbortSignal, work: (session: PostgresSession) => Promise<T>): Promise<T> {
    const session = this.#takeIdle() ?? (await PostgresSession.open(this.#connection, signal));
    try {
      const result = await session.during(signal, () => work(session));
      this.#keep(session);
      return result;
    } catch (error) {
      session.destroy();
      throw error;
    }
  }

  #takeIdle(): PostgresSession | undefined {
    for (let last = this.#idle.pop(); last !== undefined; last = this.#idle.pop()) {
      last.cancel();
      if (last.session.isUsable) return last.session;
    }
    return undefined;
  }

  #keep(session: PostgresSession): void {
    if (this.#isClosed || !session.isUsable) return session.destroy();
    const cancel = this.#clock.after(SESSION_IDLE_MS, () => {
      this.#idle.splice(this.#idle.indexOf(idle), 1);
      session.destroy();
    });
    const idle = { session, cancel };
    this.#idle.push(idle);
  }
}
