// The tables as the other parts of a process reach them: in the warehouse of this process, or in that of another one,
// which says in the etcd where it listens.
import { hostname } from "node:os";
import { TaskGroup, text, utf8, WireError } from "@millrace/base";
import type { Target } from "@millrace/ingest";
import { Keyspace, keyOf } from "@millrace/metadata";
import { ANY_LABELS, CAPABILITY } from "@millrace/protocol";
import { RemoteTarget } from "@millrace/targets";
import type { Warehouse } from "@millrace/warehouse";
import { announcedUrl } from "./announced-url.ts";
import { brokerCredentials } from "./broker-authoriser.ts";
import { endpointUrl } from "./endpoints.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { PartContext } from "./part-context.ts";
import type { ProcessSession } from "./system-process-session.ts";

export interface Tables {
  readonly target: Target;
  /** Base URL of SQL over HTTP. @throws {WireError} UNAVAILABLE when nobody knows */
  readonly sqlUrl: () => string;
  /** What it is asked with; "": nothing. */
  readonly sqlToken: string;
}

/** Under the lease of the process that has the warehouse. */
const DOOR = keyOf("/millrace/pipeline/warehouse-door");
const TOKEN_LIFE_MS = 60_000;

interface WarehouseDoor {
  readonly loads: string;
  readonly sql: string;
}

export function tablesOf({ tokens }: PartContext, warehouse: Warehouse, target: Target): Tables {
  const sqlUrl = (): string => endpointUrl(warehouse.address.host, warehouse.address.port);
  return { target, sqlUrl, sqlToken: tokens.innerToken };
}

/** Tells others where this process's warehouse is, until the process ends. @param at its work.listen, as bound */
export function announceTables(
  lifecycle: Lifecycle,
  { config }: PartContext,
  session: ProcessSession,
  parts: { readonly warehouse: Warehouse; readonly at: { readonly host: string; readonly port: number } },
): Promise<unknown> {
  const name = hostname();
  const given = config["work.public-url"];
  const loads = given === "" ? announcedUrl(parts.at, name) : given;
  const { port } = parts.warehouse.address;
  const { host } = config["warehouse.listen"];
  const sql = announcedUrl({ host, port }, given === "" ? name : new URL(given).hostname);
  const value = utf8(JSON.stringify({ loads, sql } satisfies WarehouseDoor));
  return lifecycle.start(
    "warehouse's announcement",
    async () => session.leases.hold(DOOR, value),
    async (held) => held.release(),
  );
}

/** Follows where the warehouse of the etcd is; it need not be there yet. */
export async function startTables(
  lifecycle: Lifecycle,
  context: PartContext,
  signal: AbortSignal,
): Promise<Tables> {
  const { coordination, clock, logger, health } = context;
  const doors = new Keyspace<WarehouseDoor>({
    store: coordination,
    clock,
    logger,
    prefix: DOOR,
    decode: (_key, value) => decodeDoor(value),
  });
  let isThere = false;
  // A lease that was lost for a moment says nothing of the process: the last place is asked until there is another one.
  let last: WarehouseDoor | undefined;
  const update = (): void => {
    const door = doors.get(DOOR)?.value;
    isThere = door !== undefined;
    last = door ?? last;
  };
  doors.observe(update);
  const tasks = new TaskGroup("warehouse's place", (_task, error) => context.onFatal(error));
  await lifecycle.start(
    "warehouse's place",
    async () => {
      await doors.load(0, signal);
      update();
      tasks.spawn("mirror", (stopping) => doors.run(stopping));
    },
    () => tasks.close(),
  );
  health.addDegradation(() =>
    isThere ? undefined : "no warehouse is there (component warehouse, on this etcd)",
  );
  const target = new RemoteTarget({
    address: () => last?.loads,
    authorization: authorizer(context),
    name: "the warehouse",
    clock,
  });
  return {
    target,
    sqlToken: context.config["auth.token"],
    sqlUrl: () => {
      if (last !== undefined) return last.sql;
      throw new WireError("UNAVAILABLE", "no warehouse is there");
    },
  };
}

/** The same credentials that let brokers into each other's. */
function authorizer({ config, clock }: PartContext): () => string | undefined {
  const { keys, token } = brokerCredentials(config);
  if (keys === undefined) return () => (token === "" ? undefined : `Bearer ${token}`);
  const claims = { capabilities: CAPABILITY.REPLICATE, selector: ANY_LABELS };
  return () => keys.sign(claims, TOKEN_LIFE_MS, clock.wallMs());
}

function decodeDoor(value: Uint8Array): WarehouseDoor | Error {
  const { loads, sql } = JSON.parse(text(value)) as Readonly<Record<string, unknown>>;
  if (typeof loads !== "string" || typeof sql !== "string") return new Error("no URLs");
  return { loads, sql };
}
