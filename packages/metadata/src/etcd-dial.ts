// Channels to members of etcd over our own gRPC.
import type { Clock, Logger } from "@millrace/base";
import { GrpcChannel, type Channel, type ClientTls } from "@millrace/grpc";

export interface EtcdDialOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** For `https:` endpoints; asked for each new connection, so that files may change. Default: the platform's CAs. */
  readonly tls?: () => ClientTls;
}

/** An answer to a range has what the range has; pages keep it far below. */
const RECEIVE_BYTES_MAX = 64 * 1024 * 1024;
/** etcd refuses who pings more often than every 5 s. */
const KEEPALIVE = { afterMs: 10_000, timeoutMs: 5000 } as const;

/** For `EtcdPorts.connect`. */
export function dialEtcd({ clock, logger, tls }: EtcdDialOptions): (address: string) => Channel {
  return (address) =>
    new GrpcChannel({
      address,
      clock,
      logger,
      tls,
      keepalive: KEEPALIVE,
      limits: { receiveBytesMax: RECEIVE_BYTES_MAX },
    });
}
