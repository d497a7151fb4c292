export { MemoryJournal } from "./journal.ts";
export { openMemoryStore } from "./memory-store.ts";
