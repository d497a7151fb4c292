// The baseline of the HTTP benchmarks: node:http that reads a JSON body, parses it and answers. No log, no mapping.
import { createServer } from "node:http";

const server = createServer((request, response) => {
  /** @type {Buffer[]} */
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    JSON.parse(Buffer.concat(chunks).toString());
    response.writeHead(200, { "content-type": "text/plain", "content-length": 2 });
    response.end("OK");
  });
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.stderr.write(`${typeof address === "object" ? address?.port : address}\n`);
});
