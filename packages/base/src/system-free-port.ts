// Ports for servers that tests start, and start again.
import { once } from "node:events";
import { createServer } from "node:net";
import { systemRandom } from "./system-ports.ts";

/** Below those that systems give to connections: nobody takes it while its owner is restarted. */
const PORT_MIN = 20_000;
const PORT_MAX = 32_000;

/** One of loopback that nobody listens on now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORT_MIN + systemRandom.below(PORT_MAX - PORT_MIN);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return false;
    throw error;
  }
  server.close();
  await once(server, "close");
  return true;
}
