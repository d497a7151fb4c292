export {
  memoryStore,
  MemoryStore,
  type MemoryStoreOptions,
  type StoreFault,
  type StoreOperation,
} from "./memory-store.ts";
export { objectStoreConformance, type ConformanceSubject } from "./store-conformance.ts";
