export { callBidi, callClientStream, callServerStream, callUnary } from "./client-async.ts";
export { GrpcChannel } from "./grpc-channel.ts";
export { GrpcServer } from "./grpc-server.ts";
export { HeldBudget, type HeldReport } from "./held-bytes.ts";
export { DEFAULT_LIMITS } from "./limits.ts";
export { decodeBinaryValue, encodeBinaryValue, NO_METADATA } from "./metadata.ts";
export type {
  ClientTls,
  ConnectOutcome,
  ConnectionLimits,
  GrpcChannelOptions,
  GrpcServerOptions,
  Keepalive,
} from "./peer-options.ts";
export type {
  CallEnd,
  CallHandler,
  CallHandlers,
  CallOptions,
  Channel,
  ChannelState,
  ClientCall,
  ClientCallListener,
  Metadata,
  Peer,
  ServerCall,
  ServerCallListener,
} from "./rpc.ts";
export { bidi, clientStream, serverStream, unary } from "./server-async.ts";
export { SharedPort, type AcceptSocket, type ServerTls, type SharedPortOptions } from "./shared-port.ts";
export { RpcError, STATUS_CODES, type StatusCode } from "./status.ts";
