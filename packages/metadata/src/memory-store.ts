// The embedded store over a log in memory: the coordination store for other packages' tests.
import { silentLogger, type Clock, type Random } from "@millrace/base";
import { openEmbeddedStore, type EmbeddedStore } from "./embedded-store.ts";
import { MemoryJournal } from "./journal.ts";

/** A store that forgets everything when it is dropped. Close it when `clock` is a real one: it keeps a timer. */
export function openMemoryStore(
  clock: Clock,
  random: Random,
  journal = new MemoryJournal(),
): Promise<EmbeddedStore> {
  return openEmbeddedStore(journal.recover, { clock, random, logger: silentLogger });
}
