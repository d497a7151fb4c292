export { coordinationContract, type ContractCase, type ContractHarness } from "./coordination-contract.ts";
export { MemoryJournal } from "./journal.ts";
export { openMemoryStore } from "./memory-store.ts";
export { EtcdProcess, etcdProgram, type EtcdProcessOptions } from "./etcd-process-testkit.ts";
export { TcpProxy } from "./tcp-proxy-testkit.ts";
