// One owner of a data directory (D8): a listening Unix socket in it that tells the owner's incarnation, and a format
// version.
//
// O1 A socket that answers has a living owner: the newcomer gives up.
// O2 A socket that refuses is renamed aside and asked again under its new name (its owner may just not listen yet);
//    if it answers then, it is renamed back and the newcomer gives up.
// O3 After listening, a process connects to the path and must find its own incarnation before it touches anything else.
import {
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  renameSync,
  rmSync,
  fsyncSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { dirname, join } from "node:path";
import { hex, WireError, type Random } from "@millrace/base";
import { FORMAT_FILE } from "./data-layout.ts";
import { fileError, namingFile } from "./system-file-errors.ts";

/** Format of everything below the directory. A directory of a newer format is refused. */
const FORMAT = 1;
const SOCKET = "owner.sock";
const ASK_MS = 2000;

export interface DataDirectory {
  readonly path: string;
  /** Random for each life of the owner, 32 hex digits. */
  readonly incarnation: string;
  /** Lets the next owner in. */
  release(): Promise<void>;
}

interface Owner {
  readonly incarnation: string;
  readonly pid: number;
}

/**
 * Makes this process the owner of `path`, which is created when missing.
 * @throws {WireError} CONFLICT when another process owns it, CORRUPT when its format is newer or unreadable
 */
export async function ownDataDirectory(path: string, random: Random): Promise<DataDirectory> {
  namingFile(path, () => makeDirectories(path));
  // A socket's path is limited to 107 bytes; through the open directory it is short whatever the directory is called.
  const directory = openSync(path, "r");
  const socketPath = (name: string): string => `/proc/self/fd/${directory}/${name}`;
  const incarnation = hex(random.fill(new Uint8Array(16)));
  try {
    await clearDeadSocket(path, socketPath, incarnation);
    const server = await listen(socketPath(SOCKET), { incarnation, pid: process.pid }, path);
    try {
      const found = await ask(socketPath(SOCKET));
      if (typeof found === "string" || found.incarnation !== incarnation) {
        throw inUse(path, typeof found === "string" ? undefined : found);
      }
      checkFormat(path);
    } catch (error) {
      await close(server);
      throw error;
    }
    return {
      path,
      incarnation,
      release: async () => {
        await close(server);
        closeSync(directory);
      },
    };
  } catch (error) {
    closeSync(directory);
    throw error;
  }
}

/** Makes nothing. @throws {WireError} CONFLICT when there is no data */
export function refuseNewDirectory(path: string): void {
  if (existsSync(join(path, FORMAT_FILE))) return;
  throw new WireError(
    "CONFLICT",
    `data directory ${path} has no data, and --new-data refuse takes none that is new: is its volume mounted?`,
  );
}

async function clearDeadSocket(
  path: string,
  socketPath: (name: string) => string,
  mine: string,
): Promise<void> {
  const owner = await ask(socketPath(SOCKET));
  if (owner === "missing") return;
  if (owner !== "refused") throw inUse(path, owner);
  const aside = `${SOCKET}.${mine.slice(0, 8)}`;
  try {
    renameSync(join(path, SOCKET), join(path, aside));
  } catch {
    throw inUse(path, undefined);
  }
  const again = await ask(socketPath(aside));
  if (typeof again === "string") {
    rmSync(join(path, aside), { force: true });
    return;
  }
  renameSync(join(path, aside), join(path, SOCKET));
  throw inUse(path, again);
}

/** Asks whoever listens on `socket` who it is. */
function ask(socket: string): Promise<Owner | "missing" | "refused"> {
  return new Promise((resolve, reject) => {
    let said = "";
    const connection = connect(socket);
    connection.setTimeout(ASK_MS, () => connection.destroy(new Error("the owner does not answer")));
    connection.setEncoding("utf8");
    connection.on("data", (text) => (said += text));
    connection.on("end", () => {
      try {
        resolve(JSON.parse(said) as Owner);
      } catch {
        // It accepted, so somebody lives there.
        resolve({ incarnation: "", pid: 0 });
      }
      connection.destroy();
    });
    connection.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") resolve("missing");
      else if (error.code === "ECONNREFUSED") resolve("refused");
      else if (error.code === undefined || error.code === "ECONNRESET") resolve({ incarnation: "", pid: 0 });
      else reject(error);
    });
  });
}

function listen(socket: string, owner: Owner, path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => {
      connection.on("error", () => connection.destroy());
      connection.end(JSON.stringify(owner));
    });
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(error.code === "EADDRINUSE" ? inUse(path, undefined) : fileError(join(path, SOCKET), error));
    });
    server.listen(socket, () => {
      server.unref();
      resolve(server);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function inUse(path: string, owner: Owner | undefined): WireError {
  const who = owner === undefined || owner.pid === 0 ? "another process" : `process ${owner.pid}`;
  return new WireError("CONFLICT", `data directory ${path} is in use by ${who}`);
}

function checkFormat(path: string): void {
  const file = join(path, FORMAT_FILE);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    namingFile(file, () => writeFormat(path, file));
    return;
  }
  let format: unknown;
  try {
    format = (JSON.parse(text) as { format?: unknown }).format;
  } catch {
    throw new WireError("CORRUPT", `${file} is not readable JSON`);
  }
  if (typeof format !== "number" || !Number.isInteger(format) || format < 1) {
    throw new WireError("CORRUPT", `${file} names no format`);
  }
  if (format > FORMAT) {
    const readable = `this version of Millrace reads formats up to ${FORMAT}`;
    throw new WireError("CORRUPT", `data directory ${path} has format ${format}; ${readable}`);
  }
}

function writeFormat(path: string, file: string): void {
  const temporary = `${file}.new`;
  writeFileSync(temporary, `${JSON.stringify({ format: FORMAT })}\n`, { flush: true });
  renameSync(temporary, file);
  const directory = openSync(path, "r");
  fsyncSync(directory);
  closeSync(directory);
}

/** One try for each directory. Node's own way goes on for ever where one cannot be made though its parent is there. */
function makeDirectories(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectories(parent);
  try {
    mkdirSync(path, { mode: 0o750 });
  } catch (error) {
    // Somebody else has made it meanwhile.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
  }
}
