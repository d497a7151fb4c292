// What is known of a journal that users append to and read themselves.
import { JournalModel } from "@millrace/broker/testkit";

/** A journal and its judge. */
export class RawJournal {
  readonly name: string;
  readonly model: JournalModel;
  /** Appends that nobody has answered yet. */
  readonly #underWay = new Set<Uint8Array>();
  /** Readers were given everything below. */
  readEnd = 0;

  constructor(name: string) {
    this.name = name;
    this.model = new JournalModel(name);
  }

  begin(bytes: Uint8Array): void {
    this.#underWay.add(bytes);
  }

  /** The append is at `begin`. */
  acknowledge(begin: number, bytes: Uint8Array): void {
    this.#underWay.delete(bytes);
    this.model.acknowledge(begin, bytes);
  }

  /** Certainly nothing of it was written. */
  refuse(bytes: Uint8Array): void {
    this.#underWay.delete(bytes);
  }

  /** Nobody knows what became of it. */
  lose(bytes: Uint8Array): void {
    this.#underWay.delete(bytes);
    this.model.lose(bytes);
  }

  loseAll(): void {
    for (const bytes of this.#underWay) this.model.lose(bytes);
    this.#underWay.clear();
  }

  read(offset: number, bytes: Uint8Array): void {
    this.model.read(offset, bytes);
    this.readEnd = Math.max(this.readEnd, offset + bytes.length);
  }

  checkWhole(content: Uint8Array): void {
    this.model.checkWhole(content);
    this.readEnd = content.length;
  }
}
