// The key by which an application signs URLs: of two hours, and replaced at half its life, so that a URL signed with it
// outlives its own time.
import type { BlobServiceClient, UserDelegationKey } from "@azure/storage-blob";
import type { Clock } from "@millrace/base";

const KEY_MS = 2 * 60 * 60_000;
/** Clocks differ: the key is valid from a little before now. */
const SKEW_MS = 5 * 60_000;

export class AzureDelegation {
  readonly #service: BlobServiceClient;
  readonly #clock: Clock;
  #key: UserDelegationKey | undefined;
  #renewAtMs = 0;

  constructor(service: BlobServiceClient, clock: Clock) {
    this.#service = service;
    this.#clock = clock;
  }

  async key(signal: AbortSignal): Promise<UserDelegationKey> {
    const nowMs = this.#clock.wallMs();
    if (this.#key !== undefined && nowMs < this.#renewAtMs) return this.#key;
    const [from, to] = [new Date(nowMs - SKEW_MS), new Date(nowMs + KEY_MS)];
    this.#key = await this.#service.getUserDelegationKey(from, to, { abortSignal: signal });
    this.#renewAtMs = nowMs + KEY_MS / 2;
    return this.#key;
  }
}
