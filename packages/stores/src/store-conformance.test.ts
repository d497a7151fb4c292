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
  const store = new FileStore("file:///fragments/", {
    root,
    clock: systemClock,
    random: seededRandom("file"),
  });
  await store.ensureBase();
  return { store, close: () => rm(root, { recursive: true }) };
});
