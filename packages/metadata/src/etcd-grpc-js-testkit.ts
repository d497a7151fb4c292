// A channel over the library @grpc/grpc-js: what our own transport is compared with.
import {
  Client,
  credentials,
  Metadata,
  status,
  type ChannelCredentials,
  type StatusObject,
} from "@grpc/grpc-js";
import type { RpcCall, RpcChannel, RpcListener, RpcOptions } from "./etcd-channel.ts";

export function grpcJsChannel(address: string, secure?: ChannelCredentials): RpcChannel {
  const target = address.replace(/^https?:\/\//, "");
  const client = new Client(target, secure ?? credentials.createInsecure(), {
    "grpc.max_receive_message_length": -1,
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 200,
  });
  return {
    start: (path, options, listener) => startCall(client, path, options, listener),
    close: async () => client.close(),
  };
}

function startCall(
  client: Client,
  path: string,
  { metadata, timeoutMs }: RpcOptions,
  listener: RpcListener,
): RpcCall {
  const headers = new Metadata();
  for (const [name, value] of metadata) headers.set(name, value);
  const same = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const deadline = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
  const call = client.makeBidiStreamRequest(path, same, (bytes: Buffer) => bytes, headers, deadline);
  call.on("data", (bytes: Buffer) => listener.onMessage(bytes));
  call.on("error", () => {});
  call.on("status", ({ code, details }: StatusObject) =>
    listener.onEnd({
      code: status[code],
      message: details,
      maybeProcessed: !/No connection established|ECONNREFUSED/.test(details),
    }),
  );
  return {
    send: (bytes) => call.write(bytes),
    halfClose: () => call.end(),
    cancel: () => call.cancel(),
    pause: () => void call.pause(),
    resume: () => void call.resume(),
  };
}
