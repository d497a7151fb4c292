export { allocate, type AllocatorMirror, type AllocatorOptions, type AllocatorPorts } from "./allocate.ts";
export { allocatorMetrics, type AllocatorMetrics } from "./allocator-metrics.ts";
export { converge, type ConvergeOptions, type Plan } from "./converge.ts";
export type {
  AllocatorKeys,
  AssignmentEntry,
  ConsistencyRule,
  ItemEntry,
  MemberEntry,
  Snapshot,
} from "./entries.ts";
export { solve, type Solution } from "./solver.ts";
export {
  isSameProblem,
  leaderOf,
  leftWithout,
  stateOf,
  type AllocatorState,
  type Shedding,
} from "./state.ts";
