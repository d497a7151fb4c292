// What a request costs in the parser, one core: `node packages/base/dist/http1-parser.bench.js`. Prints nanoseconds
// of CPU for a POST of 300 B that arrives in one piece, in two, and of the target and content type looked up with it.
import { Http1Parser } from "./http1-parser.ts";
import type { RequestHead } from "./http1-head.ts";

const BODY = `{"origin":"MCI","note":"${"x".repeat(270)}"}`;
const LINES = [
  `POST /stream/1/flights/${"s".repeat(48)} HTTP/1.1`,
  "Host: 127.0.0.1:7000",
  "Content-Type: application/json",
  `Content-Length: ${BODY.length}`,
];
const BROWSER_LINES = [
  ...LINES,
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
  "Accept: application/json, text/plain, */*",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Accept-Language: en-US,en;q=0.9",
  "Origin: https://app.example.com",
  "Referer: https://app.example.com/a/page",
];
const COUNT = 300_000;
const ROUNDS = 5;

/** Median CPU nanoseconds of one call of `run`. */
function measure(run: () => void): number {
  const figures: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const before = process.cpuUsage();
    for (let i = 0; i < COUNT; i++) run();
    const used = process.cpuUsage(before);
    if (round > 0) figures.push(((used.user + used.system) * 1000) / COUNT);
  }
  return Math.round(figures.sort((a, b) => a - b)[figures.length >> 1]!);
}

let requests = 0;
const parser = new Http1Parser(
  {
    onHead: (head: RequestHead) => (head.typeEnd > head.typeBegin ? 1_000_000 : "discard"),
    onContinue: () => undefined,
    onRequest: () => void requests++,
    onRefused: (refusal) => {
      throw new Error(refusal.message);
    },
  },
  16 * 1024,
);

for (const [name, lines] of Object.entries({ plain: LINES, browser: BROWSER_LINES })) {
  const request = Buffer.from(`${lines.join("\r\n")}\r\n\r\n${BODY}`);
  const cut = request.length - 100;
  const whole = measure(() => parser.push(request));
  const halves = measure(() => {
    parser.push(request.subarray(0, cut));
    parser.push(request.subarray(cut));
  });
  const line = { request: name, bytes: request.length, wholeNs: whole, inTwoPiecesNs: halves };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
if (requests === 0) throw new Error("nothing was read");
