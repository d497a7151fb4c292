// A real ClickHouse for tests, where its program is on the PATH or in MILLRACE_PEERS: a server of its own in a
// temporary directory.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { never, systemClock } from "@millrace/base";
import { freePort, peerProgram } from "@millrace/base/testkit";
import { ClickHouseClient, type ClickHouseConnection } from "./clickhouse-client.ts";

const START_MS_MAX = 60_000;
const POLL_MS = 100;
const PASSWORD = "correct horse";

/** Nobody builds it: CI goes without it, too, and says so. */
const program = () => peerProgram("clickhouse", { isOptional: true });

/** Why there is no server here. */
export function missingClickHouse(): string | false {
  return program().missing;
}

export class ClickHouseServer {
  readonly connection: ClickHouseConnection;
  readonly client: ClickHouseClient;
  readonly #folder: string;
  readonly #child: ChildProcess;

  private constructor(folder: string, child: ChildProcess, port: number) {
    this.#folder = folder;
    this.#child = child;
    this.connection = { url: `http://127.0.0.1:${port}`, user: "default", password: PASSWORD };
    this.client = new ClickHouseClient(this.connection, systemClock);
  }

  static async start(): Promise<ClickHouseServer> {
    const folder = mkdtempSync(join(tmpdir(), "millrace-clickhouse-"));
    const port = await freePort();
    const config = join(folder, "config.xml");
    writeFileSync(config, configOf(folder, port), { mode: 0o600 });
    const { path } = program();
    const child = spawn(path, ["server", `--config-file=${config}`], { cwd: folder, stdio: "ignore" });
    const server = new ClickHouseServer(folder, child, port);
    try {
      await server.#untilAnswers();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exit = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
      this.#child.kill("SIGKILL");
      await exit;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #untilAnswers(): Promise<void> {
    const endMs = systemClock.monotonicMs() + START_MS_MAX;
    for (;;) {
      if (this.#child.exitCode !== null) throw new Error(`clickhouse ended with ${this.#child.exitCode}`);
      try {
        await this.client.ask("SELECT 1", {}, never);
        return;
      } catch (error) {
        if (systemClock.monotonicMs() > endMs) throw error;
        await systemClock.sleep(POLL_MS, never);
      }
    }
  }
}

function configOf(folder: string, port: number): string {
  return `<clickhouse>
<logger><level>error</level><log>${folder}/log</log></logger>
<listen_host>127.0.0.1</listen_host><http_port>${port}</http_port>
<path>${folder}/data/</path><tmp_path>${folder}/tmp/</tmp_path>
<user_files_path>${folder}/files/</user_files_path><mark_cache_size>16777216</mark_cache_size>
<users><default><password>${PASSWORD}</password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>
<quota>default</quota><access_management>1</access_management></default></users>
<profiles><default/></profiles><quotas><default/></quotas></clickhouse>
`;
}
