// What stands against being ready, from every part that can say.

export class Health {
  readonly #checks: (() => readonly string[])[] = [];

  add(check: () => readonly string[]): void {
    this.#checks.push(check);
  }

  /** Adds a check that has one reason, or none. */
  addReason(check: () => string | undefined): void {
    this.add(() => {
      const reason = check();
      return reason === undefined ? [] : [reason];
    });
  }

  /** Empty when ready. */
  reasons(): readonly string[] {
    return this.#checks.flatMap((check) => check());
  }
}
