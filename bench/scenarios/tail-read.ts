// One client reads a journal over HTTP, against a raw TCP copy of as many bytes: MiB a second, both ends on this
// machine.
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { get } from "node:http";
import { startPlatform } from "../platform.ts";
import { pairs, ratios, type RunOptions, type Scenario, type ScenarioResult } from "../scenario.ts";

const MIB = 2 ** 20;
const APPEND_BYTES = 8 * MIB;

export const tailRead: Scenario = {
  name: "tail-read",
  family: "platform",
  title: "read by one client over HTTP, against a raw TCP copy",
  atLeast: "0.3",
  aim: "0.6",
  run: runScenario,
};

async function runScenario(options: RunOptions): Promise<ScenarioResult> {
  const total = (options.quick ? 128 : 512) * MIB;
  const platform = await startPlatform(["--journal.length", "1GiB"]);
  try {
    const url = `${platform.endpoints["broker"]}/examples/tail`;
    const content = Buffer.alloc(APPEND_BYTES, "some line of a journal\n");
    for (let at = 0; at < total; at += APPEND_BYTES) {
      const response = await fetch(url, { method: "PUT", body: content });
      if (response.status !== 204) throw new Error(`PUT: ${response.status}`);
    }
    await readAll(url, total);
    const taken = await pairs(
      options.rounds,
      () => readAll(url, total),
      () => copyOverTcp(content, total),
    );
    for (const pair of taken)
      options.log(`${pair.ours.toFixed(0)} MiB/s, TCP ${pair.baseline.toFixed(0)} MiB/s`);
    const { ours, baseline, ratio } = ratios(taken);
    return {
      figure: ratio.median.toFixed(2),
      measured: { ratio, oursMiBPerSecond: ours, tcpMiBPerSecond: baseline },
    };
  } finally {
    await platform.stop();
  }
}

function readAll(url: string, total: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const startMs = performance.now();
    let bytes = 0;
    get(url, (response) => {
      response.on("data", (chunk: Buffer) => (bytes += chunk.length));
      response.on("error", reject);
      response.on("end", () => {
        if (bytes !== total) reject(new Error(`${bytes} of ${total} bytes were read`));
        else resolve(bytes / MIB / ((performance.now() - startMs) / 1000));
      });
    }).on("error", reject);
  });
}

async function copyOverTcp(content: Buffer, total: number): Promise<number> {
  const chunk = content.subarray(0, 128 * 1024);
  const server = createServer((socket) => {
    let sent = 0;
    const more = (): void => {
      while (sent < total) {
        sent += chunk.length;
        if (!socket.write(chunk)) {
          socket.once("drain", more);
          return;
        }
      }
      socket.end();
    };
    more();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const startMs = performance.now();
    const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
    socket.resume();
    await once(socket, "end");
    return total / MIB / ((performance.now() - startMs) / 1000);
  } finally {
    server.close();
  }
}
