export { Authoriser, type Need, type RefuseAppend } from "./authoriser.ts";
export { DEFAULT_ROOT, openBroker, type Broker, type BrokerOptions, type BrokerPorts } from "./broker.ts";
export { GrpcPeerNetwork } from "./grpc-peer-network.ts";
export { type AutoCreateRule } from "./auto-create.ts";
export { PlainPutDoor, type PlainPutPorts } from "./http-plain-door.ts";
export { httpGateway, type GatewayOptions, type RequestHandler } from "./http-gateway.ts";
export {
  startActivation,
  stepActivation,
  type ActivationEffect,
  type ActivationInput,
  type ActivationState,
} from "./holders-activation.ts";
export {
  closed,
  dropPersisted,
  names,
  newestSegment,
  heldByOthers,
  segmentEnd,
  takenOver,
  validateHolders,
  voided,
  withSegment,
  type HoldersList,
  type Range,
} from "./holders-list.ts";
export { tidied } from "./holders-upkeep.ts";
export {
  afterLoad,
  answerBound,
  bind,
  retired,
  routeSeen,
  type Binding,
  type BoundRequest,
} from "./route-bound.ts";
export { PeerChannels, type PeerChannelsOptions, type PeerDial } from "./peer-dial.ts";
export { judgeBytes, type JudgedBytes } from "./sealed-bytes.ts";
export { grpcDoor, type GrpcDoorOptions } from "./grpc-door.ts";
export { HeldCalls } from "./held-calls.ts";
export { drainWhile, type Drain, type DrainOutcome, type DrainProgress } from "./drain.ts";
export { decodeHolders, holdersKey } from "./holders-codec.ts";
export {
  unseenByPeer,
  type HoldAnswer,
  type HoldRequest,
  type Peer,
  type PeerNetwork,
} from "./peer-network.ts";
export type { PeerDoor } from "./peer-door.ts";
export type { PeerListener, PeerStream } from "./peer-pipeline.ts";
