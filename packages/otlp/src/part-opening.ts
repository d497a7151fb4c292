// Opens the parts of a request within bounds: of one part, which is the longest that others wait, of a list of parts,
// and of all together.
import { WireError } from "@millrace/base";
import { inContext, ItemBudget, type Unopened } from "@millrace/protobuf";
import { type FlattenLimits, JSON_VALUES_AN_ITEM, PART_ITEMS_MAX, REQUEST_ITEMS_MAX } from "./limits.ts";

export type OtlpEncoding = "protobuf" | "json";

/** Names of fields from the outside in, as the .proto has them. */
export type PartPath = readonly string[];

export class PartOpening {
  readonly #encoding: OtlpEncoding;
  readonly #recordsMax: number;
  #left = REQUEST_ITEMS_MAX;

  constructor(encoding: OtlpEncoding, { recordsMax }: FlattenLimits) {
    this.#encoding = encoding;
    this.#recordsMax = recordsMax;
  }

  /** Of a message that holds lists of parts. */
  lists(): ItemBudget {
    const refuse = (max: number): never =>
      tooLarge(`too many records in one request (${max + 1} or more; expected <= ${max})`);
    return new ItemBudget(this.#recordsMax, { refuse });
  }

  /** A message of the list that holds parts itself. @throws {WireError} INVALID_ARGUMENT; TOO_LARGE */
  holder<M>(list: Unopened<M>, index: number, path: PartPath): M {
    return this.#within(this.lists(), path, (budget) => list.open(index, budget));
  }

  /** A message of the list with all that is in it. @throws as above */
  part<M>(list: Unopened<M>, index: number, path: PartPath): M {
    return this.#within(this.#inPart(), path, (budget) => list.open(index, budget));
  }

  /** The message of a field that is not repeated, with all that is in it. @throws as above */
  one<M>(field: Unopened<M>, path: PartPath): M | undefined {
    return this.#within(this.#inPart(), path, (budget) => field.merged(budget));
  }

  #inPart(): ItemBudget {
    const left = this.#left;
    const refuse = (max: number): never =>
      left < PART_ITEMS_MAX
        ? tooLarge(`too many items in one request (expected <= ${REQUEST_ITEMS_MAX})`)
        : tooLarge(`too many attributes or values in one record (${max + 1} or more; expected <= ${max})`);
    return new ItemBudget(Math.min(left, PART_ITEMS_MAX), { refuse, jsonValuesAnItem: JSON_VALUES_AN_ITEM });
  }

  #within<T>(budget: ItemBudget, path: PartPath, open: (budget: ItemBudget) => T): T {
    try {
      return open(budget);
    } catch (thrown) {
      throw path.reduceRight((error, name) => inContext(this.#shown(name), error), thrown);
    } finally {
      this.#left = Math.max(0, this.#left - budget.taken);
    }
  }

  #shown(name: string): string {
    if (this.#encoding === "protobuf") return name;
    return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  }
}

function tooLarge(message: string): never {
  throw new WireError("TOO_LARGE", message);
}
