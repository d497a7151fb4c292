// So many requests at a time, the others in the order in which they came.
//
// N1 What waits is bounded in bytes; alone, anything may wait.
// N2 One may step aside for memory that is not free. It goes on before everyone who waits, once it is alone: of those
//    inside there is always one that goes on, and each becomes that one.

export class WalkLane {
  readonly #max: number;
  readonly #waitingBytesMax: number;
  readonly #waiting: (() => void)[] = [];
  readonly #aside: (() => void)[] = [];
  #waitingBytes = 0;
  #inside = 0;

  constructor(max: number, { waitingBytesMax }: { readonly waitingBytesMax: number }) {
    this.#max = max;
    this.#waitingBytesMax = waitingBytesMax;
  }

  /** @returns false: it is full */
  enter(): boolean {
    if (this.#inside >= this.#max || this.#aside.length > 0 || this.#waiting.length > 0) return false;
    this.#inside++;
    return true;
  }

  /** Whether somebody who holds so many bytes may wait (N1). */
  hasRoomFor(bytes: number): boolean {
    return this.#waitingBytes === 0 || this.#waitingBytes + bytes <= this.#waitingBytesMax;
  }

  /** Resolves once there is a place, which is the caller's. @param bytes that it holds meanwhile */
  wait(bytes: number): Promise<void> {
    this.#waitingBytes += bytes;
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        this.#waitingBytes -= bytes;
        resolve();
      });
    });
  }

  /** Of somebody inside: whether nobody else is. */
  get isAlone(): boolean {
    return this.#inside === 1;
  }

  /** For somebody inside who is not alone: resolves once it is (N2). */
  alone(): Promise<void> {
    this.#inside--;
    return new Promise((resolve) => this.#aside.push(resolve));
  }

  leave(): void {
    this.#inside--;
    if (this.#aside.length > 0) {
      if (this.#inside === 0) this.#admit(this.#aside);
      return;
    }
    while (this.#inside < this.#max && this.#waiting.length > 0) this.#admit(this.#waiting);
  }

  #admit(queue: (() => void)[]): void {
    this.#inside++;
    queue.shift()!();
  }
}
