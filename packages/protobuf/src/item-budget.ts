// Bounds the items of repeated fields in one message and everything in it: two bytes of input may be one.
import { DECODED_ITEMS_MAX } from "./limits.ts";
import { invalid } from "./validation-error.ts";

export interface ItemBudgetOptions {
  /** Throws what is said of more than `max` items. */
  readonly refuse?: (max: number) => never;
  /** Values of JSON for each item; absent: those of a message in JSON are not counted. */
  readonly jsonValuesAnItem?: number;
}

export class ItemBudget {
  readonly max: number;
  readonly #refuse: (max: number) => never;
  readonly #jsonValuesAnItem: number | undefined;
  #left: number;

  constructor(max: number = DECODED_ITEMS_MAX, options: ItemBudgetOptions = {}) {
    this.max = max;
    this.#left = max;
    this.#refuse = options.refuse ?? tooMany;
    this.#jsonValuesAnItem = options.jsonValuesAnItem;
  }

  get taken(): number {
    return this.max - this.#left;
  }

  /** Accounts for one item. */
  take(): void {
    if (this.#left === 0) this.#refuse(this.max);
    this.#left--;
  }

  /** Accounts for all of a value of JSON, whose nesting is bounded. */
  takeJson(json: unknown): void {
    if (this.#jsonValuesAnItem === undefined) return;
    const max = this.#left * this.#jsonValuesAnItem;
    const left = valuesLeft(json, max);
    if (left < 0) this.#refuse(this.max);
    this.#left -= Math.ceil((max - left) / this.#jsonValuesAnItem);
  }
}

/** `left` less the values in `json`; below 0 when there are more. */
function valuesLeft(json: unknown, left: number): number {
  if (typeof json !== "object" || json === null) return left;
  let rest = left;
  for (const value of Object.values(json)) {
    rest = valuesLeft(value, rest - 1);
    if (rest < 0) return rest;
  }
  return rest;
}

function tooMany(max: number): never {
  return invalid(`too many items in one message (expected <= ${max})`);
}
