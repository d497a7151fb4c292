export type { ObjectEntry, ObjectStore, ObjectStores, PutOptions, StoreUse } from "./object-store.ts";
export { FileStore, PARTIAL_AGE_MS_MAX, type FileStorePorts } from "./file-store.ts";
export { fetchSigned } from "./fetch-signed.ts";
export { silenceVersionNotice } from "./system-version-notice.ts";
export { objectStores, openStores, type OpenStore, type StorePorts } from "./open-stores.ts";
export {
  checkedKey,
  checkJournalName,
  parseStoreUrl,
  rewriteKey,
  storeArguments,
  type StoreUrl,
} from "./store-url.ts";
