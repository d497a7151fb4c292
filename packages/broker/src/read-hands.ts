// What the readers of a broker have in hand: content that was read for them and that their clients have not taken yet.
//
//  H1  Each has a large chunk and the one behind it, as long as all together hold less than the bound. From there on a
//      chunk is small, and nothing is read ahead: however many take nothing, each holds little more than its stream.
export class ReadHands {
  #bytes = 0;
  readonly #bytesMax: number;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** H1 */
  get isFull(): boolean {
    return this.#bytes >= this.#bytesMax;
  }

  take(bytes: number): void {
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}
