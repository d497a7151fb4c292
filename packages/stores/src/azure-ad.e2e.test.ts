// `azure-ad://` against Azurite over TLS, which wants a token of the right form, and a stub of the vendor's token
// endpoint. No real tenant was ever tried.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startAzurite } from "./system-store-servers.ts";

const noOpenssl =
  spawnSync("openssl", ["version"]).status === 0
    ? false
    : "openssl, which makes the certificate, is not here";

test("azure-ad: put, get, list, a URL signed with a delegated key", { skip: noOpenssl }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "millrace-azure-ad-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const made = [
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "2",
    "-keyout",
    keyFile,
    "-out",
    certFile,
  ];
  execFileSync("openssl", [...made, ...subject], { stdio: "ignore" });
  const server = await startAzurite({ certFile, keyFile });
  t.after(() => server.stop());
  // A process of its own: what it trusts is decided at its start.
  const child = new URL("./azure-ad-child.js", import.meta.url).pathname;
  const env = { PATH: "/usr/bin:/bin", NODE_EXTRA_CA_CERTS: certFile };
  const { status, stdout, stderr } = spawnSync(process.execPath, [child, server.address], {
    env,
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.equal(status, 0, `${stdout}\n${stderr}\n${server.output()}`);
  assert.equal(stdout, "1 token, content, fetched content\n");
});
