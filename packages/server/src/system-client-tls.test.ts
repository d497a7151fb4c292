import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { silentLogger, type Logger } from "@millrace/base";
import { clientTls } from "./system-client-tls.ts";
import { ETCD_TLS_NAMES } from "./system-tls-files.ts";
import { InstalledCertificates, noOpenssl, TestAuthority, type KeyPair } from "./test-certificates.ts";

const NONE = { cert: "", key: "", ca: "" };

test(
  "client TLS: files replaced -> the next connection has them; unusable -> the last ones that were not",
  { skip: noOpenssl },
  () => {
    const said: unknown[] = [];
    const logger: Logger = {
      ...silentLogger,
      warn: (event, fields) => void said.push(event, fields?.["error"]),
    };
    const authority = new TestAuthority("authority");
    const files = new InstalledCertificates();
    const text = ({ cert, key }: KeyPair) => ({
      cert: readFileSync(cert, "utf8"),
      key: readFileSync(key, "utf8"),
      ca: readFileSync(authority.ca, "utf8"),
    });
    files.trust(authority);
    files.install(authority.issue("one"));
    const tls = clientTls(files, ETCD_TLS_NAMES, logger);
    assert.deepEqual(tls(), text(files));
    files.install(authority.issue("two"));
    const two = text(files);
    assert.deepEqual(tls(), two);
    writeFileSync(files.ca, "");
    assert.deepEqual(tls(), two);
    assert.deepEqual(said.splice(0), [
      "client-certificates-not-read",
      `etcd.trusted-ca-file: ${files.ca} holds no certificate (PEM)`,
    ]);
    files.trust(authority);
    rmSync(files.key);
    assert.deepEqual(tls(), two);
    assert.equal(said[0], "client-certificates-not-read");
  },
);

test("client TLS: none, or files that cannot be used -> nothing, or refused at once", () => {
  assert.deepEqual(clientTls(NONE, ETCD_TLS_NAMES, silentLogger)(), {});
  assert.throws(
    () => clientTls({ ...NONE, cert: "c" }, ETCD_TLS_NAMES, silentLogger),
    /^INVALID_ARGUMENT: etcd\.cert-file and etcd\.cert-key-file go together/,
  );
  assert.throws(
    () => clientTls({ ...NONE, ca: "/nowhere/ca.pem" }, ETCD_TLS_NAMES, silentLogger),
    /^INVALID_ARGUMENT: etcd\.trusted-ca-file: cannot read \/nowhere\/ca\.pem/,
  );
});
