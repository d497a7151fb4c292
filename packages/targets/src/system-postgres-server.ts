// A real PostgreSQL for tests: a server of its own in a temporary directory, as a user that is not root, with SCRAM and
// TLS. It comes from Debian's package (scripts/debian.mjs).
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { never, systemClock } from "@millrace/base";
import { freePort, peerProgram } from "@millrace/base/testkit";
import type { PostgresConnection } from "./postgres-connection.ts";
import { PostgresSession } from "./postgres-session.ts";

const DEBIAN = "/usr/lib/postgresql";
const START_MS_MAX = 60_000;
const POLL_MS = 50;
const PASSWORD = 'correct horse: battery\'s "staple"';
/** Linux's user for programs that own nothing: the server refuses root. */
const NOBODY = 65_534;

/** Why there is no server here; with CI=true it is promised, and what needs it fails. */
export function missingPostgres(): string | false {
  if (programs() !== undefined || process.env["CI"] === "true") return false;
  return "no postgres: not on the PATH, nor under /usr/lib/postgresql; apt-get install postgresql";
}

/** The folder with `postgres` and `initdb`. */
function programs(): string | undefined {
  const { path, missing } = peerProgram("initdb");
  if (missing === false && existsSync(path)) return join(path, "..");
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN) : [];
  const folders = versions
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(DEBIAN, version, "bin"));
  return folders.find((folder) => existsSync(join(folder, "initdb")));
}

export class PostgresServer {
  readonly connection: PostgresConnection;
  /** Certificate of the server, its own authority. */
  readonly certificate: string;
  readonly #folder: string;
  readonly #child: ChildProcess;
  #databases = 0;

  private constructor(folder: string, child: ChildProcess, port: number, certificate: string) {
    this.#folder = folder;
    this.#child = child;
    this.certificate = certificate;
    const tls = { mode: "off" } as const;
    this.connection = {
      host: "127.0.0.1",
      port,
      database: "postgres",
      user: "millrace",
      password: PASSWORD,
      tls,
    };
  }

  static async start(): Promise<PostgresServer> {
    const bin = programs();
    if (bin === undefined) throw new Error("postgres is not installed");
    const folder = mkdtempSync(join(tmpdir(), "millrace-postgres-"));
    const isRoot = process.getuid?.() === 0;
    const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
    const data = join(folder, "data");
    const secret = join(folder, "password");
    writeFileSync(secret, PASSWORD, { mode: 0o600 });
    certify(folder);
    if (isRoot) for (const path of [folder, ...files(folder)]) chownSync(path, NOBODY, NOBODY);
    const made = spawnSync(
      join(bin, "initdb"),
      ["-D", data, "-U", "millrace", "--auth=scram-sha-256", `--pwfile=${secret}`, "-E", "UTF8", "--no-sync"],
      { ...user, env: { PATH: process.env["PATH"], LC_ALL: "C" }, encoding: "utf8" },
    );
    if (made.status !== 0) throw new Error(`initdb failed: ${made.stdout}${made.stderr}`);
    const port = await freePort();
    const settings = {
      listen_addresses: "127.0.0.1",
      port,
      unix_socket_directories: folder,
      fsync: "off",
      ssl: "on",
      ssl_cert_file: join(folder, "server.crt"),
      ssl_key_file: join(folder, "server.key"),
    };
    const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const child = spawn(join(bin, "postgres"), ["-D", data, ...args], {
      ...user,
      env: { PATH: process.env["PATH"], LC_ALL: "C" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr?.on("data", (chunk: Buffer) => (said = (said + chunk.toString("utf8")).slice(-4000)));
    const certificate = readFileSync(settings.ssl_cert_file, "utf8");
    const server = new PostgresServer(folder, child, port, certificate);
    try {
      await server.#untilAnswers();
    } catch (error) {
      await server.stop();
      throw new Error(`postgres did not start: ${said}`, { cause: error });
    }
    return server;
  }

  /** A connection to a new, empty database. @param encoding of its text */
  async database(encoding = "UTF8"): Promise<PostgresConnection> {
    const name = `test_${this.#databases++}`;
    const how =
      encoding === "UTF8" ? "" : ` ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`;
    await this.run(this.connection, `CREATE DATABASE ${name}${how}`);
    return { ...this.connection, database: name };
  }

  async run(connection: PostgresConnection, sql: string): Promise<readonly (readonly (string | null)[])[]> {
    const session = await PostgresSession.open(connection, never);
    try {
      return await session.query(sql);
    } finally {
      session.destroy();
    }
  }

  /** What the statements take and make is held, by a transaction that is not committed, until it is let go. */
  async hold(connection: PostgresConnection, sql: string): Promise<() => void> {
    const session = await PostgresSession.open(connection, never);
    await session.query(`BEGIN; ${sql}`);
    return () => session.destroy();
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
      // At once, its other processes too; a killed one would leave them behind.
      this.#child.kill("SIGQUIT");
      await exit;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #untilAnswers(): Promise<void> {
    const endMs = systemClock.monotonicMs() + START_MS_MAX;
    for (;;) {
      if (this.#child.exitCode !== null) throw new Error(`exit code ${this.#child.exitCode}`);
      try {
        await this.run(this.connection, "SELECT 1");
        return;
      } catch (error) {
        if (systemClock.monotonicMs() > endMs) throw error;
        await systemClock.sleep(POLL_MS, never);
      }
    }
  }
}

function certify(folder: string): void {
  const how = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "1",
  ];
  const who = ["-subj", "/CN=millrace test", "-addext", "subjectAltName=IP:127.0.0.1"];
  const where = ["-keyout", join(folder, "server.key"), "-out", join(folder, "server.crt")];
  const { status, stderr } = spawnSync("openssl", [...how, ...who, ...where], { encoding: "utf8" });
  if (status !== 0) throw new Error(`openssl failed: ${stderr}`);
}

function files(folder: string): readonly string[] {
  return readdirSync(folder).map((name) => join(folder, name));
}
