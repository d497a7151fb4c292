// `millrace brokers list` and `drain`, over the HTTP routes of Millrace's brokers. Any of them tells of all; the one
// that is to leave is asked itself, at the endpoint that it announces.
import { systemClock, WireError } from "@millrace/base";
import { renderBoxTable } from "./box-table.ts";
import { UsageError, type CliIo } from "./cli-io.ts";
import { durationOption } from "./duration-option.ts";
import { brokerAddress, callBroker, isBrokerNamed, type BrokerDoorOptions } from "./system-broker-door.ts";

export interface BrokersListOptions extends BrokerDoorOptions {
  readonly format: "table" | "yaml" | "json";
  readonly json?: true;
}

export interface BrokersDrainOptions extends BrokerDoorOptions {
  readonly wait: boolean;
  readonly timeout?: string;
  readonly force?: true;
  readonly json?: true;
}

/** As `/v1/brokers` of a broker tells. */
interface ListedBroker {
  readonly zone: string;
  readonly id: string;
  readonly endpoint: string;
  readonly journalLimit: number;
  readonly exiting: boolean;
  readonly product: string;
  readonly primaries: number;
  readonly replicas: number;
}

/** As `/v1/brokers/drain` of the broker that leaves tells. */
interface DrainProgress {
  readonly state: "serving" | "draining" | "drained";
  readonly assigned: number;
  readonly withoutRoom: number;
  readonly held: number;
  readonly heldJournals: readonly string[];
  readonly backlogBytes: number;
  readonly waitsFor: readonly string[];
}

const DRAIN = "/v1/brokers/drain";
const POLL_MS = 500;

export async function runBrokersList(options: BrokersListOptions, io: CliIo): Promise<void> {
  const brokers = await listBrokers(options, io);
  const format = options.json === true ? "json" : options.format;
  if (format === "json") {
    io.out(`${JSON.stringify(brokers)}\n`);
  } else if (format === "yaml") {
    const { stringify } = await import("yaml");
    io.out(stringify(brokers));
  } else {
    const header = ["ZONE", "ID", "ENDPOINT", "PRIMARIES", "REPLICAS", "LIMIT", "EXITING", "PRODUCT"];
    const rows = brokers.map((each) => [
      each.zone,
      each.id,
      each.endpoint,
      String(each.primaries),
      String(each.replicas),
      String(each.journalLimit),
      each.exiting ? "yes" : "",
      each.product,
    ]);
    io.out(renderBoxTable(header, rows));
  }
}

export async function runBrokersDrain(name: string, options: BrokersDrainOptions, io: CliIo): Promise<void> {
  const patienceMs =
    options.timeout === undefined ? Number.POSITIVE_INFINITY : durationOption("--timeout", options.timeout);
  const address = await addressOf(name, options, io);
  const endMs = systemClock.monotonicMs() + patienceMs;
  const body = options.force === true ? { force: true } : {};
  const ask = async (method: "GET" | "POST"): Promise<DrainProgress> => {
    const call = { method, path: DRAIN, isNamed: true, ...(method === "POST" ? { body } : {}) };
    return JSON.parse(await callBroker(address, options, call, io.signal)) as DrainProgress;
  };
  let progress = await ask("POST");
  for (let said = ""; ;) {
    const now = `${name}: ${inWords(progress)}\n`;
    if (now !== said && options.json !== true) io.err(now);
    said = now;
    const isOver = progress.state === "drained" || !options.wait || options.force === true;
    if (isOver || systemClock.monotonicMs() >= endMs) {
      if (options.json === true) io.out(`${JSON.stringify(progress)}\n`);
      if (isOver) return;
      throw new WireError("UNAVAILABLE", `${name} is not drained after ${options.timeout}: it goes on`);
    }
    await systemClock.sleep(POLL_MS, io.signal);
    progress = await ask("GET");
  }
}

/** What is left of a drain; with --force that is what stays behind. */
function inWords({ state, waitsFor, heldJournals }: DrainProgress): string {
  if (waitsFor.length === 0) return state;
  const some = heldJournals.length === 0 ? "" : ` (${heldJournals.join(", ")})`;
  return `${state}, waits for ${waitsFor.join("; ")}${some}`;
}

/** @param name `ZONE/ID`, or an address @throws {UsageError}; {WireError} NOT_FOUND */
async function addressOf(name: string, options: BrokerDoorOptions, io: CliIo): Promise<string> {
  if (/^https?:\/\//.test(name)) {
    if (URL.canParse(name)) return name.replace(/\/$/, "");
    throw new UsageError(`${name}: expected http://HOST:PORT or https://HOST:PORT`);
  }
  const [, zone, id] = /^([^/]+)\/([^/]+)$/.exec(name) ?? [];
  if (zone === undefined) {
    throw new UsageError(
      `${name}: expected ZONE/ID, as millrace brokers list shows them, or http://HOST:PORT`,
    );
  }
  const found = (await listBrokers(options, io)).find((each) => each.zone === zone && each.id === id);
  if (found === undefined)
    throw new WireError(
      "NOT_FOUND",
      `no broker ${name} is there; millrace brokers list shows those that are`,
    );
  return found.endpoint;
}

async function listBrokers(options: BrokerDoorOptions, io: CliIo): Promise<readonly ListedBroker[]> {
  const call = { method: "GET", path: "/v1/brokers", isNamed: isBrokerNamed(options) } as const;
  const answer = await callBroker(brokerAddress(options), options, call, io.signal);
  return (JSON.parse(answer) as { brokers: readonly ListedBroker[] }).brokers;
}
