export { judgeLoad, type Commits, type Judgement } from "./load-judgement.ts";
export { SinkTargets, type SinkTargetsPorts } from "./target-registry.ts";
export { RemoteTarget, type RemoteTargetPorts } from "./remote-target.ts";
export { answerTargetCall, type TargetDoorPorts } from "./target-door.ts";
export { TARGET_PATH } from "./target-wire.ts";
