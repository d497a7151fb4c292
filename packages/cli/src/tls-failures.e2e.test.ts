// What a command says when TLS stands between it and a broker.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer as createPlainServer, type AddressInfo, type Server as PlainServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { createServer, type Server, type TlsOptions } from "node:tls";
import { runRecorded } from "./recorded-io.ts";
import { scratch } from "./test-children.ts";

const skip = spawnSync("openssl", ["version"]).status === 0 ? false : "openssl is not installed";

test(
  "a broker's certificate is not trusted, or ours is missing -> its address and the setting",
  { skip },
  async (t) => {
    const dir = scratch();
    const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
    const fresh = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const names = ["-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"];
    assert.equal(spawnSync("openssl", [...fresh, ...names, "-keyout", key, "-out", cert]).status, 0);
    const own: TlsOptions = {
      key: readFileSync(key),
      cert: readFileSync(cert),
      ALPNProtocols: ["h2", "http/1.1"],
    };
    const server = createServer({ ...own, ca: readFileSync(cert), requestCert: true });
    server.on("tlsClientError", () => undefined);
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    t.after(() => server.close());
    const address = addressOf(server);
    const plain = createPlainServer((socket) => void socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await new Promise<void>((listening) => plain.listen(0, "127.0.0.1", listening));
    t.after(() => plain.close());
    // As a broker's port does with what is neither HTTP nor gRPC.
    const closing = createPlainServer((socket) => void socket.once("data", () => socket.destroy()));
    await new Promise<void>((listening) => closing.listen(0, "127.0.0.1", listening));
    t.after(() => closing.close());
    for (const command of ["journals list", "brokers list"]) {
      const asPlain = await runRecorded([
        ...command.split(" "),
        "--address",
        address.replace("https", "http"),
      ]);
      assert.equal(asPlain.code, 1);
      assert.match(asPlain.err, /^millrace: http:\S+ speaks TLS: is it https:\/\/$/m);
      const asTls = await runRecorded([...command.split(" "), "--address", addressOf(plain)]);
      assert.equal(asTls.code, 1);
      assert.match(asTls.err, /^millrace: https:\S+ speaks no TLS: is it http:\/\/ \(\w+\)$/m);
      const closed = await runRecorded([...command.split(" "), "--address", addressOf(closing)]);
      assert.equal(closed.code, 1);
      assert.match(
        closed.err,
        /^millrace: https:\S+ speaks no TLS: is it http:\/\/ \(closed in the handshake\)$/m,
      );
      const untrusted = await runRecorded([...command.split(" "), "--address", address]);
      assert.equal(untrusted.code, 1);
      assert.match(
        untrusted.err,
        /^millrace: https:\S+ has a certificate .* not trusted: set --broker\.trusted-ca-file \(\w+\)$/m,
      );
      const args = [...command.split(" "), "--address", address, "--broker.trusted-ca-file", cert];
      const unknown = await runRecorded(args);
      assert.equal(unknown.code, 1);
      assert.match(
        unknown.err,
        /^millrace: https:\S+ refuses this side: set --broker\.cert-file and \S+ to .* \(ERR_SSL_\w+\)$/m,
      );
    }
    const silent = createServer(own, (socket) => void socket.end());
    await new Promise<void>((listening) => silent.listen(0, "127.0.0.1", listening));
    t.after(() => silent.close());
    for (const command of ["journals list", "brokers list"]) {
      const trusting = [
        ...command.split(" "),
        "--address",
        addressOf(silent),
        "--broker.trusted-ca-file",
        cert,
      ];
      const ended = await runRecorded(trusting);
      assert.equal(ended.code, 1);
      assert.match(
        ended.err,
        /^millrace: https:\S+ ends the connection .* --broker\.cert-file .* \(closed\)$/m,
      );
    }
  },
);

test("files that do not fit -> refused before a call, with the flag or the variable", { skip }, async () => {
  const dir = scratch();
  const pair = (name: string): readonly [cert: string, key: string] => {
    const files = [join(dir, `${name}.pem`), join(dir, `${name}.key`)] as const;
    const fresh = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const made = spawnSync("openssl", [...fresh, "-subj", "/CN=x", "-out", files[0], "-keyout", files[1]]);
    assert.equal(made.status, 0);
    return files;
  };
  const [[cert, key], [, otherKey]] = [pair("one"), pair("other")];
  const empty = join(dir, "empty.pem");
  writeFileSync(empty, "");
  const cases: readonly (readonly [flags: readonly string[], says: RegExp])[] = [
    [
      ["--broker.cert-file", cert, "--broker.cert-key-file", otherKey],
      /^millrace: --broker\.cert-key-file: \S+other\.key is not the key of the certificate in \S+one\.pem /,
    ],
    [["--broker.cert-file", cert], /^millrace: --broker\.cert-file and --broker\.cert-key-file go together/],
    [
      ["--broker.cert-file", key, "--broker.cert-key-file", key],
      /^millrace: --broker\.cert-file: \S+one\.key holds no certificate \(PEM\)$/m,
    ],
    [
      ["--broker.trusted-ca-file", empty],
      /^millrace: --broker\.trusted-ca-file: \S+empty\.pem holds no certificate \(PEM\)$/m,
    ],
    [
      ["--broker.trusted-ca-file", join(dir, "gone")],
      /^millrace: --broker\.trusted-ca-file: cannot read \S+gone: ENOENT/,
    ],
  ];
  for (const [flags, says] of cases) {
    const { code, err } = await runRecorded([
      "journals",
      "list",
      "--address",
      "https://127.0.0.1:1",
      ...flags,
    ]);
    assert.match(err, says);
    assert.equal(code, 2);
  }
});

function addressOf(server: Server | PlainServer): string {
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
