export { ClickHouseContract, type ClickHouseFault, type ContractTable } from "./clickhouse-contract.ts";
export { stageLoad, stageRows, type StagedFixture, type StagedSample } from "./staged-fixture.ts";
export { targetConformance, type TargetSubject, type TargetTraits } from "./target-conformance.ts";
export type { TargetRow } from "./target-rows.ts";
export { missingPostgres, PostgresServer } from "./system-postgres-server.ts";
