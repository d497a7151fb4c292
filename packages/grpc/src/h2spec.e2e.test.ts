// The HTTP/2 side of a port against h2spec, plain and over TLS. The binary is looked for in $MILLRACE_PEERS and PATH:
// `GOBIN=$MILLRACE_PEERS go install github.com/summerwind/h2spec/cmd/h2spec@latest`.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { serveEcho } from "./echo-testkit.ts";
import { SERVER_CERT, SERVER_KEY } from "./tls-testkit.ts";

const folders = [process.env["MILLRACE_PEERS"] ?? "", ...(process.env["PATH"] ?? "").split(delimiter)];
const binary = folders.filter((folder) => folder !== "").map((folder) => join(folder, "h2spec"));
const h2spec = binary.find((path) => existsSync(path));

for (const isTls of [false, true]) {
  test(
    `h2spec${isTls ? " over TLS" : ""} -> every test passes, none is skipped`,
    { skip: h2spec === undefined && "no h2spec in $MILLRACE_PEERS or PATH" },
    async () => {
      const echo = await serveEcho(isTls ? { tls: { cert: SERVER_CERT, key: SERVER_KEY } } : {});
      const args = ["-h", "127.0.0.1", "-p", `${echo.port}`, "-o", "5", ...(isTls ? ["-t", "-k"] : [])];
      const output = await new Promise<string>((resolve) => {
        execFile(h2spec!, args, { maxBuffer: 1 << 24 }, (_error, stdout) => resolve(stdout));
      });
      await echo.stop();
      assert.match(output, /\b14\d tests, 14\d passed, 0 skipped, 0 failed/, output.slice(-3000));
    },
  );
}
