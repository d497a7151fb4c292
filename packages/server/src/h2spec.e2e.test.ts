// The HTTP/2 side of a broker's port against h2spec, plain and over TLS:
// `GOBIN=$MILLRACE_PEERS go install github.com/summerwind/h2spec/cmd/h2spec@latest`.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { peerProgram } from "@millrace/base/testkit";
import { noOpenssl, TestAuthority } from "./test-certificates.ts";
import { scratch, TestPlatform } from "./test-platform.ts";

const h2spec = peerProgram("h2spec");

function verdictOf(port: string, tls: readonly string[]): Promise<string> {
  const args = ["-h", "127.0.0.1", "-p", port, "-o", "5", ...tls];
  return new Promise((resolve) => {
    execFile(h2spec.path, args, { maxBuffer: 1 << 24 }, (_error, stdout) => resolve(stdout));
  });
}

for (const isTls of [false, true]) {
  test(
    `h2spec at a broker's port${isTls ? " over TLS" : ""} -> every test passes, none is skipped`,
    { skip: h2spec.missing || (isTls && noOpenssl), timeout: 180_000 },
    async () => {
      const { cert, key } = isTls ? new TestAuthority("h2spec").issue("broker") : { cert: "", key: "" };
      const flags = isTls ? ["--broker.server-cert-file", cert, "--broker.server-cert-key-file", key] : [];
      const broker = TestPlatform.launch(scratch(), flags, ["serve", "broker"]);
      await broker.ready();
      const { port } = new URL(broker.endpoints.broker);
      const output = await verdictOf(port, isTls ? ["-t", "-k"] : []);
      await broker.stop();
      assert.match(output, /\b14\d tests, 14\d passed, 0 skipped, 0 failed/, output.slice(-3000));
    },
  );
}
