export { judgeLoad, type Commits, type Judgement } from "./load-judgement.ts";
export type { PostgresConnection, PostgresTls } from "./postgres-connection.ts";
export { PostgresTarget, type PostgresTargetPorts } from "./postgres-target.ts";
export { ParquetTarget, type ParquetTargetPorts } from "./parquet-target.ts";
