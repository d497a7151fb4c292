// What stands against being ready, from every part that can say, and what is wrong though the process serves. Whoever
// reaches a listener may ask whether it is ready, without a token: no line names what a user named.

export class Health {
  readonly #checks: (() => readonly string[])[] = [];
  readonly #degradations: (() => string | undefined)[] = [];

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

  /** Adds a check of something without which the process serves all the same. */
  addDegradation(check: () => string | undefined): void {
    this.#degradations.push(check);
  }

  /** Empty when ready. */
  reasons(): readonly string[] {
    return [...new Set(this.#checks.flatMap((check) => check()))];
  }

  /** What is wrong though the process serves. */
  degradations(): readonly string[] {
    return this.#degradations.map((check) => check()).filter((line) => line !== undefined);
  }

  /** The answer of /readyz. */
  page(): { readonly status: 200 | 503; readonly text: string } {
    const reasons = this.reasons();
    if (reasons.length > 0) return { status: 503, text: lines(reasons) };
    return { status: 200, text: lines(["ready", ...this.degradations().map((line) => `degraded: ${line}`)]) };
  }
}

function lines(texts: readonly string[]): string {
  return texts.map((text) => `${text}\n`).join("");
}
