import type { Message } from "@millrace/protobuf";

/** One RPC of etcd's API. */
export interface Method<Request, Response> {
  /** `/etcdserverpb.KV/Range` */
  readonly path: string;
  readonly request: Message<Request>;
  readonly response: Message<Response>;
}

export function method<Request, Response>(
  path: string,
  request: Message<Request>,
  response: Message<Response>,
): Method<Request, Response> {
  return { path, request, response };
}
