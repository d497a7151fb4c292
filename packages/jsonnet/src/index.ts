export { JsonnetError, type JsonnetErrorKind, type Position, type TraceStep } from "./error.ts";
export type { HostValue, NativeFunction } from "./host.ts";
export { LIMITS_DEFAULT, type Limits, type StepBudget } from "./limits.ts";
export type { Json } from "./manifest.ts";
export { compile, JsonText, type CompileOptions, type Imported, type Program } from "./program.ts";
