// An append that another broker has to take: its content goes there as it comes, and the answer back as it is.
//
//  X1  What the stream says wrong is told in the primary's words (append-stream.ts); nothing is committed then.
//  X2  An append of which the primary certainly saw nothing, and of which everything is still here, is resolved again
//      after a change of the keyspace or a pause, for REROUTE_MS at most: its journal may be with another broker by
//      then, so a broker that went away is no error of whoever appends. Nothing else is ever sent twice.
//  X3  One that the caller gives up is given up at the primary, too: what was not committed is rolled back there.
//  X4  An answer that does not come any more leaves the outcome unknown, once the content was whole.
import { WireError, type Clock } from "@millrace/base";
import type { AppendPreamble, Header } from "@millrace/protocol";
import type { AppendInput } from "./append-states.ts";
import type { ContentSource } from "./content-source.ts";
import { changeWithin } from "./gate-timeout.ts";
import { REROUTE_MS } from "./limits.ts";
import type { PeerCall, PeerCalls } from "./peer-calls.ts";
import { unseenByPeer, wasUnseen, type Peer } from "./peer-network.ts";

/** Pauses before an append is resolved again. */
const REROUTE_PAUSE_MS = { min: 20, max: 500 } as const;

export interface AppendProxyPorts {
  readonly clock: Clock;
  readonly calls: PeerCalls;
}

export class AppendProxy {
  readonly #ports: AppendProxyPorts;
  readonly #request: AppendPreamble;
  readonly #source: ContentSource;
  #call: PeerCall | undefined;
  #attempts = 0;
  #untilMs = 0;

  constructor(ports: AppendProxyPorts, request: AppendPreamble, source: ContentSource) {
    this.#ports = ports;
    this.#request = request;
    this.#source = source;
  }

  /**
   * Passes it to the primary of `header`.
   * @param signal of the caller
   * @throws {WireError} what the primary or the way there failed with
   */
  async pass(header: Header, signal: AbortSignal): Promise<AppendInput> {
    const { calls } = this.#ports;
    const primary = calls.primaryOf(header.route);
    try {
      if (primary === undefined) {
        throw unseenByPeer({ id: header.processId }, "its endpoint is not known");
      }
      return await this.#passTo(primary, header, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!wasUnseen(error) || !this.#source.isUntouched || !this.#mayWait()) throw error;
      await this.#pause(signal);
      return { kind: "unseen" };
    }
  }

  /** Nobody waits for it any more (X3). */
  end(): void {
    this.#call?.abort(new WireError("UNAVAILABLE", "the append was given up"));
  }

  async #passTo(primary: Peer, header: Header, signal: AbortSignal): Promise<AppendInput> {
    const { calls } = this.#ports;
    const call = calls.begin(primary, signal);
    this.#call = call;
    try {
      const content = this.#source.passOn(call.signal);
      const request = { ...this.#request, header };
      return {
        kind: "proxied",
        response: await calls.proxied(primary).append(request, content, call.signal),
      };
    } catch (error) {
      signal.throwIfAborted();
      if (!call.signal.aborted || !this.#source.isPassedOn) throw error;
      const { message } = WireError.from(error);
      throw new WireError("OUTCOME_UNKNOWN", message, { cause: error }); // X4
    } finally {
      this.#call = undefined;
      call.dispose();
    }
  }

  #mayWait(): boolean {
    const nowMs = this.#ports.clock.monotonicMs();
    if (this.#attempts === 0) this.#untilMs = nowMs + REROUTE_MS;
    return nowMs < this.#untilMs;
  }

  async #pause(signal: AbortSignal): Promise<void> {
    const { clock, calls } = this.#ports;
    const { min, max } = REROUTE_PAUSE_MS;
    const ms = Math.min(max, min * 2 ** this.#attempts++, this.#untilMs - clock.monotonicMs());
    await changeWithin(calls.keyspaceChanged, ms, clock, signal);
  }
}
