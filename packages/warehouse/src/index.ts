export { StagedCopies } from "./staged-copies.ts";
export { Warehouse } from "./system-warehouse.ts";
export type { WarehouseOptions } from "./process-messages.ts";
export { parseTableId } from "./table-id.ts";
export { inspectTables, type InspectedTables, type LoadedEnd, type RowBucket } from "./inspect-tables.ts";
