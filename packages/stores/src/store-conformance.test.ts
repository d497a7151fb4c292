import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import { FileStore } from "./file-store.ts";
import { memoryStore } from "./memory-store.ts";
import { objectStoreConformance } from "./store-conformance.ts";

objectStoreConformance("memory", () =>
  Promise.resolve({
    store: memoryStore({ clock: systemClock, random: seededRandom("conformance") }),
    close: () => Promise.resolve(),
  }),
);

objectStoreConformance("file", async () => {
  const root = await mkdtemp(join(tmpdir(), "millrace-stores-"));
  const ports = { root, clock: systemClock, random: seededRandom("file") };
  const store = new FileStore("file:///fragments/", ports);
  await store.ensureBase();
  const withArguments = (args: string): FileStore => new FileStore(`file:///fragments/${args}`, ports);
  return { store, withArguments, close: () => rm(root, { recursive: true }) };
});
