// Real object servers for tests, as child processes on loopback, by the path of their program (peerProgram of base's
// testkit). Azurite comes from npm and is always there.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { never, systemClock } from "@millrace/base";
import { freePort } from "@millrace/base/testkit";

/** Bucket, or container, that every server has from its start. */
export const BUCKET = "fragments";

export interface StoreServer {
  /** `http://127.0.0.1:9000` */
  readonly address: string;
  /** What it said, for a failure's message. */
  output(): string;
  /** Ends it as a crash does. What it has on its disk stays. */
  kill(): Promise<void>;
  /** Starts it again after that, at the same address. */
  run(): Promise<void>;
  /** Ends it and removes what it has. */
  stop(): Promise<void>;
}

const START_MS_MAX = 60_000;
const POLL_MS = 50;

export const S3_KEY = { id: "millracetest", secret: "millracetestsecret" } as const;
/** The account that every emulator of Azure knows. */
export const AZURE_ACCOUNT = {
  name: "devstoreaccount1",
  key: "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
} as const;

/** Sets what the AWS SDK's default chain reads, here and in processes that are started from here. */
function setAwsEnvironment(): void {
  setEnvironment({
    AWS_ACCESS_KEY_ID: S3_KEY.id,
    AWS_SECRET_ACCESS_KEY: S3_KEY.secret,
    AWS_REGION: "us-east-1",
    AWS_EC2_METADATA_DISABLED: "true",
  });
}

export function setEnvironment(variables: Readonly<Record<string, string>>): void {
  Object.assign(process.env, variables);
}

/** What an `azure` store needs to find Azurite. */
export function azureEnvironment(address: string): Readonly<Record<string, string>> {
  return {
    AZURE_ACCOUNT_NAME: AZURE_ACCOUNT.name,
    AZURE_ACCOUNT_KEY: AZURE_ACCOUNT.key,
    AZURE_STORAGE_SERVICE_ENDPOINT: `${address}/${AZURE_ACCOUNT.name}`,
  };
}

export async function startMinio(path: string): Promise<StoreServer> {
  setAwsEnvironment();
  return start("minio", (folder, port) => ({
    command: path,
    args: ["server", folder, "--address", `127.0.0.1:${port}`, "--quiet"],
    env: { MINIO_ROOT_USER: S3_KEY.id, MINIO_ROOT_PASSWORD: S3_KEY.secret, MINIO_BROWSER: "off" },
  }));
}

export async function startVersity(path: string): Promise<StoreServer> {
  setAwsEnvironment();
  return start("versitygw", (folder, port) => ({
    command: path,
    args: ["--access", S3_KEY.id, "--secret", S3_KEY.secret, "--port", `127.0.0.1:${port}`, "posix", folder],
    env: {},
  }));
}

export async function startFakeGcs(path: string): Promise<StoreServer> {
  return start("fake-gcs-server", (folder, port) => {
    const at = `127.0.0.1:${port}`;
    const where = [
      "-host",
      "127.0.0.1",
      "-port",
      String(port),
      "-public-host",
      at,
      "-external-url",
      `http://${at}`,
    ];
    return { command: path, args: ["-scheme", "http", ...where, "-filesystem-root", folder], env: {} };
  });
}

export interface AzuriteTls {
  readonly certFile: string;
  readonly keyFile: string;
}

/** @param tls over TLS, where it takes tokens too */
export async function startAzurite(tls?: AzuriteTls): Promise<StoreServer> {
  const root = createRequire(import.meta.url).resolve("azurite/package.json");
  const main = join(root, "../dist/src/blob/main.js");
  const secure = tls === undefined ? [] : ["--cert", tls.certFile, "--key", tls.keyFile, "--oauth", "basic"];
  const quiet = ["--silent", "--disableTelemetry", "--skipApiVersionCheck", "--inMemoryPersistence"];
  const launch: Launch = (_folder, port) => {
    const where = ["--blobHost", "127.0.0.1", "--blobPort", String(port)];
    return { command: process.execPath, args: [main, ...where, ...quiet, ...secure], env: {} };
  };
  if (tls !== undefined) return start("azurite", launch, "https");
  const server = await start("azurite", launch);
  const { BlobServiceClient, StorageSharedKeyCredential } = await import("@azure/storage-blob");
  const credential = new StorageSharedKeyCredential(AZURE_ACCOUNT.name, AZURE_ACCOUNT.key);
  await new BlobServiceClient(`${server.address}/${AZURE_ACCOUNT.name}`, credential).createContainer(BUCKET);
  return server;
}

/** In `folder` each sub-folder is a bucket, for those servers that keep buckets in folders. */
type Launch = (
  folder: string,
  port: number,
) => {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
};

async function start(name: string, launch: Launch, protocol = "http"): Promise<StoreServer> {
  const folder = await mkdtemp(join(tmpdir(), `millrace-${name}-`));
  await mkdir(join(folder, BUCKET));
  const port = await freePort();
  const { command, args, env } = launch(folder, port);
  const address = `${protocol}://127.0.0.1:${port}`;
  let said = "";
  let kill = (): Promise<void> => Promise.resolve();
  const run = async (): Promise<void> => {
    const child = spawn(command, args, {
      cwd: folder,
      env: { PATH: process.env["PATH"], HOME: folder, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk: Buffer) => (said = (said + chunk.toString("utf8")).slice(-4000)));
    }
    kill = () => ended(child);
    await untilAnswers(address, child);
  };
  const stop = async (): Promise<void> => {
    await kill();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await run();
  } catch (error) {
    await stop();
    throw new Error(`${name} did not start: ${said}`, { cause: error });
  }
  return { address, output: () => said, kill: () => kill(), run, stop };
}

async function untilAnswers(address: string, child: ChildProcess): Promise<void> {
  const endMs = systemClock.monotonicMs() + START_MS_MAX;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`exit code ${child.exitCode}`);
    const { hostname, port } = new URL(address);
    if (await accepts(hostname, Number(port))) {
      if (address.startsWith("https:")) return;
      if ((await statusOf(address)) < 500) return;
    }
    if (systemClock.monotonicMs() > endMs) throw new Error(`no answer for ${START_MS_MAX} ms`);
    await systemClock.sleep(POLL_MS, never);
  }
}

/** Of an answer; 599 when there is none: it is still starting. */
async function statusOf(address: string): Promise<number> {
  const { request } = await import("undici");
  try {
    const { statusCode, body } = await request(address);
    await body.dump();
    return statusCode;
  } catch {
    return 599;
  }
}

async function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGKILL");
  await exit;
}
