export type { ObjectEntry, ObjectStore, ObjectStores, PutOptions } from "./object-store.ts";
