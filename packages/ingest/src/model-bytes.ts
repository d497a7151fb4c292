// Journals and stores with nothing in them, for tests of what only has to clear them.
import type { Clock, Random } from "@millrace/base";
import { objectStores } from "@millrace/stores";
import { memoryStore } from "@millrace/stores/testkit";
import { ModelJournals } from "./model-journals.ts";
import type { PurgeBytesPorts } from "./purge-bytes.ts";

export function modelBytes(clock: Clock, random: Random): Omit<PurgeBytesPorts, "store" | "logger"> {
  const stagingStore = memoryStore({ clock, random });
  const stores = objectStores({ file: () => stagingStore });
  return { transport: new ModelJournals({ clock, random }), stagingStore, stores, fragmentStores: [] };
}
