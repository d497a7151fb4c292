export { DuckDBTarget } from "./duckdb-target.ts";
export { openEngine, type Engine, type EngineOptions } from "./engine.ts";
