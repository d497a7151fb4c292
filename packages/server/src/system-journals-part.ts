// The journals as the other parts of a process reach them: at its own broker, or at those that the etcd has.
import { TaskGroup, WireError } from "@millrace/base";
import type { Broker } from "@millrace/broker";
import { GrpcTransport, type JournalTransport } from "@millrace/client";
import { Keyspace } from "@millrace/metadata";
import { decodeMemberValue, membersPrefix, parseEntityKey, type Fragment } from "@millrace/protocol";
import { brokerAddresses, type KnownBroker } from "./broker-addresses.ts";
import { brokerCredentials } from "./broker-authoriser.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { PartContext } from "./part-context.ts";
import { peerTls } from "./system-client-tls.ts";

export interface Journals {
  readonly transport: JournalTransport;
  /** Told of each fragment that was removed from its store. */
  readonly fragmentRemoved: (fragment: Fragment) => void;
  /** Stores that failed their last check, as far as this process knows. */
  readonly failingStores: () => readonly { readonly url: string; readonly reason: string }[];
}

/** A broker that is gone without a word has its connections cut after both together. */
const KEEPALIVE = { afterMs: 5000, timeoutMs: 5000 } as const;

export function journalsOf(broker: Broker): Journals {
  return {
    transport: broker.transport,
    fragmentRemoved: (fragment) => broker.fragmentRemoved(fragment),
    failingStores: () => broker.failingStores(),
  };
}

/** Follows the brokers of the etcd; there need not be any yet. */
export async function startJournals(
  lifecycle: Lifecycle,
  context: PartContext,
  signal: AbortSignal,
): Promise<Journals> {
  const { config, coordination, clock, logger, random } = context;
  const root = config["etcd.prefix"];
  const members = new Keyspace<KnownBroker>({
    store: coordination,
    clock,
    logger,
    prefix: membersPrefix(root),
    decode: (key, value) => {
      const entity = parseEntityKey(root, key);
      if (entity.kind !== "member") throw new WireError("INVALID_ARGUMENT", "not a member");
      const { id, endpoint, exiting } = decodeMemberValue(entity.member, value);
      return { zone: id.zone, endpoint, isLeaving: exiting };
    },
  });
  const zone = config["broker.zone"];
  const turn = random.u32();
  let addresses: readonly string[] = [];
  const update = (): void => {
    addresses = brokerAddresses(
      members.scan().map(({ value }) => value),
      { zone, turn },
    );
  };
  members.observe(update);
  const tasks = new TaskGroup("brokers", (_task, error) => context.onFatal(error));
  await lifecycle.start(
    "brokers",
    async () => {
      await members.load(0, signal);
      update();
      tasks.spawn("mirror", (stopping) => members.run(stopping));
    },
    () => tasks.close(),
  );
  context.health.addReason(() =>
    addresses.length === 0 ? "no broker is there (component broker, on this etcd)" : undefined,
  );
  const transport = await lifecycle.start(
    "broker connections",
    async () => transportTo(context, () => addresses),
    (opened) => opened.close(),
  );
  return { transport, fragmentRemoved: () => undefined, failingStores: () => [] };
}

/** As brokers speak to each other: signed by the first key, or else with the platform's token. */
function transportTo(
  { config, clock, logger }: PartContext,
  addresses: () => readonly string[],
): GrpcTransport {
  const { keys, token } = brokerCredentials(config);
  return new GrpcTransport({
    address: addresses,
    clock,
    logger,
    zone: config["broker.zone"],
    frames: true,
    keepalive: KEEPALIVE,
    tls: peerTls(config, logger),
    ...(keys === undefined ? { token } : { keys }),
  });
}
