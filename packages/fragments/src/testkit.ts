export { localFragmentOf, remoteFragmentOf } from "./fragment-index-testkit.ts";
export { MemorySpool } from "./persister-testkit.ts";
