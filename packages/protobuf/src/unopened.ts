// Messages that are read when they are asked for: a message of a million messages can then be read in pieces, with
// other work between them, and each piece within bounds of its own.
//
// U1 What is wrong in a message is found when it is opened; whether its bytes are there, when its holder is.
import { ItemBudget } from "./item-budget.ts";
import { jsonArray } from "./json-value.ts";
import { writeNested } from "./message-fields.ts";
import type { Field, Message } from "./message-table.ts";
import { WIRE, WireReader } from "./wire-reader.ts";

/** Messages of one field, in the order in which they stand. */
export class Unopened<M> {
  readonly #message: Message<M>;
  /** Readers of bytes, or values of JSON. */
  readonly #items: readonly unknown[];

  constructor(message: Message<M>, items: readonly unknown[]) {
    this.#message = message;
    this.#items = items;
  }

  get length(): number {
    return this.#items.length;
  }

  /** @param budget of the items in it @throws {WireError} INVALID_ARGUMENT; what `budget` refuses with */
  open(index: number, budget: ItemBudget): M {
    return this.#read(this.#items[index], this.#message.zero, budget);
  }

  /** All as one, as protobuf has it of a field that is not repeated. Undefined: there is none. @throws as `open` */
  merged(budget: ItemBudget): M | undefined {
    let result: M | undefined;
    for (const item of this.#items) result = this.#read(item, result ?? this.#message.zero, budget);
    return result;
  }

  /** With one more behind them: grown in place, but for the empty list, which is a shared zero. */
  with(item: WireReader): Unopened<M> {
    if (this.#items.length === 0) return new Unopened(this.#message, [item]);
    (this.#items as unknown[]).push(item); // Made above: lists of JSON get no readers.
    return this;
  }

  all(): M[] {
    return this.#items.map((_item, index) => this.open(index, new ItemBudget()));
  }

  #read(item: unknown, before: M, budget: ItemBudget): M {
    if (item instanceof WireReader) return this.#message.read(item.again(budget), before);
    budget.takeJson(item);
    return this.#message.fromJson(item);
  }
}

/** A repeated message, opened one by one. */
export function unopened<M>(number: number, message: Message<M>): Field<Unopened<M>> {
  const all = (json: unknown): Unopened<M> => new Unopened(message, jsonArray(json));
  return { ...unopenedField(number, message, all), toJson: (values) => values.all().map(message.toJson) };
}

/** A message that may be absent, opened by `merged`. */
export function unopenedOne<M>(number: number, message: Message<M>): Field<Unopened<M>> {
  const one = (json: unknown): Unopened<M> => new Unopened(message, [json]);
  const toJson = (value: Unopened<M>): unknown => {
    const merged = value.merged(new ItemBudget());
    return merged === undefined ? null : message.toJson(merged);
  };
  return { ...unopenedField(number, message, one), toJson };
}

function unopenedField<M>(
  number: number,
  message: Message<M>,
  fromJson: (json: unknown) => Unopened<M>,
): Omit<Field<Unopened<M>>, "toJson"> {
  return {
    number,
    wireType: WIRE.BYTES,
    zero: new Unopened(message, []),
    read: (reader, previous) => {
      reader.countItem();
      return previous.with(reader.nested());
    },
    write: (writer, values) => {
      const all = values.all();
      for (let i = all.length - 1; i >= 0; i--) writeNested(writer, number, message, all[i]!);
    },
    fromJson,
    toText: (text, name, values) => {
      for (const value of values.all()) text.message(name, () => message.toText(text, value));
    },
  };
}
