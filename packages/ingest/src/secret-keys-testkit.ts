// Keys of secrets that a test has open, or closed for a while.
import { keyId, type SecretKey, type SecretKeys } from "./system-aes-box.ts";

export class TestKeys implements SecretKeys {
  readonly #open = new Map<string, SecretKey>();
  readonly #listeners = new Set<() => void>();
  #sealing = TestKeys.key(1);

  constructor() {
    this.open(this.#sealing);
  }

  static key(byte: number): SecretKey {
    const bytes = new Uint8Array(32).fill(byte);
    return { id: keyId(bytes), bytes };
  }

  /** From now on `key` seals; it opens nothing before it is opened itself. */
  sealWith(key: SecretKey): void {
    this.#sealing = key;
  }

  open(key: SecretKey): void {
    this.#open.set(key.id, key);
    for (const listener of this.#listeners) listener();
  }

  sealing(): SecretKey {
    return this.#sealing;
  }

  opening(id: string): SecretKey | undefined {
    return this.#open.get(id);
  }

  whyClosed(): string {
    return "denied for now";
  }

  observe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
