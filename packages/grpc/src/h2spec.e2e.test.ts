// The HTTP/2 side of a port against h2spec, plain and over TLS:
// `GOBIN=$MILLRACE_PEERS go install github.com/summerwind/h2spec/cmd/h2spec@latest`.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { peerProgram } from "@millrace/base/testkit";
import { serveEcho } from "./echo-testkit.ts";
import { SERVER_CERT, SERVER_KEY } from "./tls-testkit.ts";

const h2spec = peerProgram("h2spec");

for (const isTls of [false, true]) {
  test(
    `h2spec${isTls ? " over TLS" : ""} -> every test passes, none is skipped`,
    { skip: h2spec.missing },
    async () => {
      const echo = await serveEcho(isTls ? { tls: { cert: SERVER_CERT, key: SERVER_KEY } } : {});
      const args = ["-h", "127.0.0.1", "-p", `${echo.port}`, "-o", "5", ...(isTls ? ["-t", "-k"] : [])];
      const output = await new Promise<string>((resolve) => {
        execFile(h2spec.path, args, { maxBuffer: 1 << 24 }, (_error, stdout) => resolve(stdout));
      });
      await echo.stop();
      assert.match(output, /\b14\d tests, 14\d passed, 0 skipped, 0 failed/, output.slice(-3000));
    },
  );
}
