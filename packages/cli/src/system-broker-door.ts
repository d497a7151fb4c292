// The way to a broker, ours or Gazette's, over gRPC: which address, with which tokens and certificates. Gazette's names
// of flags and variables stand beside ours, so that who used `gazctl` changes the program's name alone. Flags win over
// the environment, and there our variables over Gazette's.
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import { jsonLogger, systemClock, WireError, type Clock, type Logger, type LogLevel } from "@millrace/base";
import type { AuthKeys, GrpcTransport, GrpcTransportOptions } from "@millrace/client";
import { readTls } from "@millrace/server";
import { Option, type Command } from "commander";
import { UsageError, type CliIo } from "./cli-io.ts";
import {
  CLOSED_EARLY,
  CLOSED_UNTOLD,
  addDoorOptions,
  callAddress,
  doorAddress,
  nothingListens,
  tlsFailure,
  type DoorCall,
  type DoorOptions,
} from "./system-doors.ts";

export interface BrokerDoorOptions extends DoorOptions {
  readonly "broker.address"?: string;
  readonly "broker.authToken"?: string;
  readonly "broker.authKeys"?: string;
  readonly "broker.certFile"?: string;
  readonly "broker.certKeyFile"?: string;
  readonly "broker.trustedCaFile"?: string;
  readonly "broker.cache.size"?: string;
  readonly "broker.cache.ttl"?: string;
  readonly zone?: string;
  readonly "log.level"?: string;
}

/** A broker, and what clients of it need. */
export interface BrokerDoor {
  readonly transport: GrpcTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  /** As it was given or found. */
  readonly address: string;
}

const LEVELS: Readonly<Record<string, LogLevel>> = {
  trace: "debug",
  debug: "debug",
  info: "info",
  warn: "warn",
  error: "error",
  fatal: "error",
};
/** What a server of HTTP/1 answers, read as frames. */
const NO_HTTP2 = /^(?:FRAME_SIZE|PROTOCOL)_ERROR: /;
const ROUTES_MAX = 1_000_000;
const TOKEN_LIFE_MS = 60_000;
const GROUP = "The broker:";

/** Adds the options that {@link withBroker} reads. */
export function addBrokerOptions(command: Command): Command {
  addBrokerPlaceOptions(command);
  const add = adder(command);
  add(
    "--broker.cache.size <N>",
    "routes to keep, to call the broker that has a journal; 0: brokers pass calls on (default: 4096)",
    "BROKER_CACHE_SIZE",
  );
  add("--broker.cache.ttl <DURATION>", "how long a route is believed (default: 1m)", "BROKER_CACHE_TTL");
  add("--zone <ZONE>", "read from brokers of this zone where one has the journal (default: local)", "ZONE");
  add(
    `--log.level <${Object.keys(LEVELS).join("|")}>`,
    "least level of what is logged to stderr, as lines of JSON (default: warn)",
    "LOG_LEVEL",
  );
  return command;
}

/** Adds the options that {@link callBroker} reads: which broker, and by what it knows who asks. */
export function addBrokerPlaceOptions(command: Command): Command {
  const add = adder(command);
  addDoorOptions(command, "broker");
  add("--broker.address <URL>", "the same as --address; also unix:///path", "BROKER_ADDRESS");
  add("--broker.auth-token <TOKEN>", "the same as --token", "BROKER_AUTH_TOKEN");
  add("--broker.auth-keys <KEYS>", "base64 keys: the first signs a token for each call", "BROKER_AUTH_KEYS");
  add("--broker.cert-file <FILE>", "certificate to show to brokers, PEM", "BROKER_CERT_FILE");
  add("--broker.cert-key-file <FILE>", "its private key, PEM", "BROKER_CERT_KEY_FILE");
  add(
    "--broker.trusted-ca-file <FILE>",
    "authorities of brokers' certificates, PEM",
    "BROKER_TRUSTED_CA_FILE",
  );
  return command;
}

function adder(command: Command): (flags: string, help: string, variable: string) => void {
  return (flags, help, variable) =>
    void command.addOption(new Option(flags, `${help} (env: ${variable})`).helpGroup(GROUP));
}

/** Whether somebody has given the address, instead of a directory or nothing. */
export function isBrokerNamed(options: BrokerDoorOptions): boolean {
  if (options["broker.address"] !== undefined || options.address !== undefined) return true;
  return options.data === undefined && process.env["BROKER_ADDRESS"] !== undefined;
}

/** The address of the broker. @throws as {@link doorAddress} */
export function brokerAddress(options: BrokerDoorOptions): string {
  const given = options["broker.address"] ?? options.address;
  const { BROKER_ADDRESS: variable } = process.env;
  const address = given ?? (options.data === undefined ? variable : undefined);
  if (address === undefined) return doorAddress("broker", options);
  if (address.startsWith("unix://")) return address;
  const name = given === undefined ? "BROKER_ADDRESS" : "--address";
  if (!/^https?:\/\/[^/]/.test(address) || !URL.canParse(address)) {
    throw new UsageError(`${name} ${address}: expected http://HOST:PORT, https://HOST:PORT or unix:///PATH`);
  }
  return address.replace(/\/$/, "");
}

/** Runs `work` with a way to the broker, and closes it. @throws what `work` throws, UNAVAILABLE in our words */
export async function withBroker<T>(
  options: BrokerDoorOptions,
  io: CliIo,
  work: (door: BrokerDoor) => Promise<T>,
): Promise<T> {
  const address = brokerAddress(options);
  const client = await import("@millrace/client");
  const logger = jsonLogger(logLevel(options), (line) => io.err(line));
  const keys = keysOf(options);
  tlsFiles(options); // Files that cannot be used are found before a call would stumble over them.
  const transport = new client.GrpcTransport({
    address,
    clock: systemClock,
    logger,
    zone: options.zone ?? process.env["ZONE"] ?? "local",
    token: tokenOf(options),
    keys: keys === "" ? undefined : parseKeys(client, keys),
    tls: () => tlsFiles(options),
    routes: await routesOf(options),
  });
  try {
    return await work({ transport, clock: systemClock, logger, address });
  } catch (error) {
    if (error instanceof WireError && (error.code === "METHOD_NOT_ALLOWED" || NO_HTTP2.test(error.message)))
      throw new WireError(error.code, `${address}: ${error.message}: is it a broker`, { cause: error });
    const isGone = error instanceof WireError && error.code === "UNAVAILABLE" && !io.signal.aborted;
    if (!isGone) throw error;
    const code = await connectFailure(address, tlsFiles(options));
    if (code === "ECONNREFUSED" || code === "ENOENT") throw nothingListens(address, isBrokerNamed(options));
    throw tlsFailure(address, code) ?? (await wrongScheme(address)) ?? error;
  } finally {
    await transport.close();
  }
}

/**
 * One request to the broker at `address` over HTTP.
 * @throws {WireError} of the answer's status; METHOD_NOT_ALLOWED when it is a broker of another product
 */
export async function callBroker(
  address: string,
  options: BrokerDoorOptions,
  call: DoorCall & { readonly isNamed: boolean },
  signal: AbortSignal,
): Promise<string> {
  const { Agent } = await import("undici");
  const isUnix = address.startsWith("unix:");
  const socket = isUnix ? { socketPath: decodeURIComponent(new URL(address).pathname) } : {};
  const via = new Agent({ connect: { ...tlsFiles(options), ...socket } as object });
  const authorization = await authorizationOf(options);
  try {
    return await callAddress(isUnix ? "http://localhost" : address, { ...call, authorization, via }, signal);
  } catch (error) {
    // The end of a connection that was refused after its handshake says nothing of why.
    const isCut = error instanceof WireError && error.code === "UNAVAILABLE";
    const refused = address.startsWith("https:")
      ? isCut && tlsFailure(address, await connectFailure(address, tlsFiles(options)))
      : isCut && (await wrongScheme(address));
    if (refused) throw refused;
    const isUnknown =
      error instanceof WireError &&
      /^(?:Not (?:Found|Implemented)|404 page not found)\s*$/.test(error.message);
    if (!isUnknown) throw error;
    throw new WireError(
      "METHOD_NOT_ALLOWED",
      `the broker at ${address} does not tell: it is no Millrace broker`,
    );
  } finally {
    await via.close();
  }
}

/** For a call about the whole cluster. */
async function authorizationOf(options: BrokerDoorOptions): Promise<string> {
  const token = tokenOf(options);
  if (token !== "") return `Bearer ${token}`;
  const keys = keysOf(options);
  if (keys === "") return "";
  const client = await import("@millrace/client");
  const { ANY_LABELS, CAPABILITY } = await import("@millrace/protocol");
  const capabilities = CAPABILITY.LIST | CAPABILITY.APPLY;
  return parseKeys(client, keys).sign(
    { capabilities, selector: ANY_LABELS },
    TOKEN_LIFE_MS,
    systemClock.wallMs(),
  );
}

function keysOf(options: BrokerDoorOptions): string {
  return (options["broker.authKeys"] ?? process.env["BROKER_AUTH_KEYS"] ?? "").trim();
}

/** What to send as it is; "": nothing, or what keys sign. */
function tokenOf(options: BrokerDoorOptions): string {
  return options["broker.authToken"] ?? options.token ?? process.env["BROKER_AUTH_TOKEN"] ?? "";
}

/** @throws {WireError} INVALID_ARGUMENT naming what was given, and the file of it that cannot be used */
function tlsFiles(options: BrokerDoorOptions): ReturnType<NonNullable<GrpcTransportOptions["tls"]>> {
  const cert = named(options["broker.certFile"], "--broker.cert-file");
  const key = named(options["broker.certKeyFile"], "--broker.cert-key-file");
  const ca = named(options["broker.trustedCaFile"], "--broker.trusted-ca-file");
  return readTls(
    { cert: cert.file, key: key.file, ca: ca.file },
    { cert: cert.name, key: key.name, ca: ca.name },
  );
}

/** A file that the flag gave, else its variable, by the name of either. */
function named(given: string | undefined, flag: string): { readonly file: string; readonly name: string } {
  const variable = flag.slice(2).replace(/[.-]/g, "_").toUpperCase();
  const set = process.env[variable] ?? "";
  return given === undefined && set !== ""
    ? { file: set, name: variable }
    : { file: given ?? "", name: flag };
}

/** Many programs read LOG_LEVEL, and what others understand by it is not a mistake here. */
function logLevel(options: BrokerDoorOptions): LogLevel {
  const { "log.level": given } = options;
  const level = LEVELS[given ?? process.env["LOG_LEVEL"] ?? "warn"];
  if (level === undefined && given !== undefined) {
    throw new UsageError(`--log.level ${given}: expected one of ${Object.keys(LEVELS).join(", ")}`);
  }
  return level ?? "warn";
}

async function routesOf(options: BrokerDoorOptions): Promise<{ routesMax?: number; ttlMs?: number }> {
  const { BROKER_CACHE_SIZE, BROKER_CACHE_TTL } = process.env;
  const size = options["broker.cache.size"] ?? BROKER_CACHE_SIZE;
  const givenTtl = options["broker.cache.ttl"];
  const ttl = givenTtl ?? BROKER_CACHE_TTL;
  const ttlName = givenTtl === undefined ? "BROKER_CACHE_TTL" : "--broker.cache.ttl";
  const routesMax = Number(size);
  if (size !== undefined && !(/^\d+$/.test(size) && routesMax <= ROUTES_MAX)) {
    throw new UsageError(`--broker.cache.size ${size}: expected a whole number in [0, ${ROUTES_MAX}]`);
  }
  const { durationOption } = await import("./duration-option.ts");
  return {
    ...(size === undefined ? {} : { routesMax }),
    ...(ttl === undefined ? {} : { ttlMs: durationOption(ttlName, ttl) }),
  };
}

/** Node's code of why no connection to the address works; undefined when one does, or when it takes long. */
function connectFailure(address: string, tls: ReturnType<typeof tlsFiles>): Promise<string | undefined> {
  const { protocol, hostname, port, pathname } = new URL(address);
  const host = hostname.replace(/^\[|\]$/g, "");
  const isTls = protocol === "https:";
  const place =
    protocol === "unix:"
      ? { path: decodeURIComponent(pathname) }
      : { host, port: Number(port || (isTls ? 443 : 80)) };
  return new Promise((resolve) => {
    const socket = isTls
      ? connectTls({ ...place, ...(tls as object), ALPNProtocols: ["h2"] })
      : connect(place);
    const end = (code: string | undefined): void => {
      socket.destroy();
      resolve(code);
    };
    // Who wants a certificate says so only after the handshake: then the first bytes do not come.
    if (isTls) socket.once("data", () => end(undefined));
    else socket.once("connect", () => end(undefined));
    socket.setTimeout(1000, () => end(undefined));
    let isAgreed = false;
    socket.once("secureConnect", () => (isAgreed = true));
    // Without a word: so does a side that does not trust our certificate, once the handshake is over.
    socket.once("close", () => end(isTls ? CLOSED_UNTOLD : undefined));
    socket.once("error", ({ code }: NodeJS.ErrnoException) =>
      end(isTls && !isAgreed && code === "ECONNRESET" ? CLOSED_EARLY : (code ?? "unknown")),
    );
  });
}

function parseKeys(client: { readonly AuthKeys: typeof AuthKeys }, keys: string): AuthKeys {
  try {
    return client.AuthKeys.parse(keys);
  } catch (error) {
    throw new UsageError(`--broker.auth-keys: ${WireError.from(error).message}`);
  }
}

/** Why a connection without TLS ends at once, if that is so. */
async function wrongScheme(address: string): Promise<WireError | undefined> {
  const { protocol, hostname, port } = new URL(address);
  if (protocol !== "http:") return undefined;
  const place = { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 80) };
  const isTls = await new Promise<boolean>((resolve) => {
    // Nothing is sent, and nobody is believed.
    const socket = connectTls({ ...place, rejectUnauthorized: false });
    const end = (found: boolean): void => {
      socket.destroy();
      resolve(found);
    };
    socket.once("secureConnect", () => end(true));
    socket.once("error", () => end(false));
    socket.once("close", () => end(false));
    socket.setTimeout(1000, () => end(false));
  });
  return isTls ? new WireError("UNAVAILABLE", `${address} speaks TLS: is it https://`) : undefined;
}
