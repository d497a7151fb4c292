// What the Jsonnet templates of a request may take together. A template's own bound and a row's say what one record may
// take for one sink; of a body with thousands of records, and a source with a hundred sinks, they are no bound.
//
// U1 What a body may take grows with its bytes: a short one costs little, whatever its records ask of a template.
// U2 A record that finds too little left is refused as one beyond a template's own bound is: 422, or a dead letter.
import type { StepBudget } from "@millrace/jsonnet";

/** Steps of all templates of a record, for all its sinks, as of a row (mapping-template.ts). */
export const RECORD_STEPS_MAX = 1_000_000;

/** Of a body of no bytes: as two records. */
const BODY_STEPS_LEAST = 2_000_000;

/** A hundred templates of ten steps each, for records of 32 bytes. */
const BODY_STEPS_A_BYTE = 32;

export class TemplateBudget implements StepBudget {
  readonly #bodyMax: number;
  #body: number;
  #record = RECORD_STEPS_MAX;

  /** @param bytes of the body, opened */
  constructor(bytes: number) {
    this.#bodyMax = BODY_STEPS_LEAST + BODY_STEPS_A_BYTE * bytes;
    this.#body = this.#bodyMax;
  }

  get left(): number {
    return Math.min(this.#body, this.#record);
  }

  take(steps: number): void {
    this.#body = Math.max(0, this.#body - steps);
    this.#record = Math.max(0, this.#record - steps);
  }

  /** Of the body, so far. */
  get spent(): number {
    return this.#bodyMax - this.#body;
  }

  /** What follows is of another record. */
  startRecord(): void {
    this.#record = RECORD_STEPS_MAX;
  }

  /** Why there is nothing left, if so. */
  problem(): string | undefined {
    if (this.#body === 0) return `more than ${this.#bodyMax} steps of all templates for the request's body`;
    if (this.#record === 0) return `more than ${RECORD_STEPS_MAX} steps of all templates for one record`;
    return undefined;
  }
}
