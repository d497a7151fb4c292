export { FaultProxy, type ProxyFault } from "./fault-proxy.ts";
export {
  memoryStore,
  MemoryStore,
  type MemoryStoreOptions,
  type StoreFault,
  type StoreOperation,
} from "./memory-store.ts";
export { objectStoreConformance, type ConformanceSubject } from "./store-conformance.ts";
export {
  azureEnvironment,
  BUCKET,
  setEnvironment,
  startAzurite,
  startMinio,
  type StoreServer,
} from "./system-store-servers.ts";
