export { judgeLoad, type Commits, type Judgement } from "./load-judgement.ts";
export { SinkTargets, type SinkTargetsPorts } from "./target-registry.ts";
