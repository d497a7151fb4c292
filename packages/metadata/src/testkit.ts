export { coordinationContract, type ContractCase, type ContractHarness } from "./coordination-contract.ts";
export { MemoryJournal } from "./journal.ts";
export { openMemoryStore } from "./memory-store.ts";
