// How many bytes of rows a reader holds for all its partitions, against one bound.

export class HeldBytes {
  readonly #max: number;
  readonly #onFreed: () => void;
  #held = 0;

  /** @param onFreed called when bytes were freed while something did not fit */
  constructor(max: number, onFreed: () => void) {
    this.#max = max;
    this.#onFreed = onFreed;
  }

  #refused = false;

  get bytes(): number {
    return this.#held;
  }

  fits(bytes: number): boolean {
    const fits = this.#held + bytes <= this.#max;
    if (!fits) this.#refused = true;
    return fits;
  }

  /** @param bytes negative when they are freed */
  add(bytes: number): void {
    this.#held += bytes;
    if (bytes >= 0 || !this.#refused) return;
    this.#refused = false;
    this.#onFreed();
  }
}
