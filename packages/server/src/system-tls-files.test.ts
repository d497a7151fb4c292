import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { WireError } from "@millrace/base";
import { noOpenssl, TestAuthority } from "./test-certificates.ts";
import { scratch } from "./test-platform.ts";
import { PEER_TLS_NAMES, readTls } from "./system-tls-files.ts";

test("TLS files: what fits -> its text; nothing named -> nothing", { skip: noOpenssl }, () => {
  const [one, two] = [new TestAuthority("one"), new TestAuthority("two")];
  const { cert, key } = one.issue("own");
  const ca = join(scratch(), "ca.pem");
  // As authorities' files are: words between certificates.
  writeFileSync(ca, `# ours\n${readFileSync(one.ca, "utf8")}\nSubject: two\n${readFileSync(two.ca, "utf8")}`);
  const text = (file: string): string => readFileSync(file, "utf8");
  const found = readTls({ cert, key, ca }, PEER_TLS_NAMES);
  assert.deepEqual(found, { cert: text(cert), key: text(key), ca: text(ca) });
  assert.deepEqual(readTls({ cert: "", key: "", ca: "" }, PEER_TLS_NAMES), {});
});

test("TLS files: missing, empty, half-written, of something else -> refused", { skip: noOpenssl }, () => {
  const authority = new TestAuthority("authority");
  const [own, other] = [authority.issue("own"), authority.issue("other")];
  const folder = scratch();
  const file = (name: string, content: string): string => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const [begin, ...rest] = readFileSync(authority.ca, "utf8").split("\n");
  const whole = [begin, ...rest].join("\n");
  const good = { ...own, ca: authority.ca };
  const cases: readonly (readonly [change: Partial<typeof good>, says: RegExp])[] = [
    [{ ca: file("empty", "") }, /^broker\.peer-ca-file: \/\S+empty holds no certificate \(PEM\)$/],
    [{ ca: file("words", "none\n") }, /^broker\.peer-ca-file: \/\S+words holds no certificate \(PEM\)$/],
    [{ ca: own.key }, /^broker\.peer-ca-file: \/\S+own\.key holds no certificate \(PEM\)$/],
    [{ ca: file("cut", whole.slice(0, 300)) }, /peer-ca-file: certificate 1 of 1 in \/\S+cut has no end$/],
    [{ ca: file("cut2", whole + whole.slice(0, 300)) }, /certificate 2 of 2 in \/\S+cut2 has no end$/],
    [
      { ca: file("odd", whole + [begin, "AAAA", ...rest].join("\n")) },
      /peer-ca-file: certificate 2 of 2 in \/\S+odd cannot be read: /,
    ],
    [{ ca: join(folder, "gone") }, /^broker\.peer-ca-file: cannot read \/\S+gone: ENOENT/],
    [{ cert: join(folder, "gone") }, /^broker\.peer-cert-file: cannot read \/\S+gone: ENOENT/],
    [{ key: join(folder, "gone") }, /^broker\.peer-cert-key-file: cannot read \/\S+gone: ENOENT/],
    [{ cert: own.key }, /^broker\.peer-cert-file: \/\S+own\.key holds no certificate \(PEM\)$/],
    [{ key: own.cert }, /^broker\.peer-cert-key-file: \/\S+own\.pem holds no private key \(PEM\)$/],
    [
      { key: other.key },
      /key-file: \S+other\.key is not the key of the certificate in \S+own\.pem \(broker\.peer-cert-file\)$/,
    ],
    [
      { key: "" },
      /^broker\.peer-cert-file and broker\.peer-cert-key-file go together: one of them is missing$/,
    ],
  ];
  for (const [change, says] of cases) {
    assert.throws(
      () => readTls({ ...good, ...change }, PEER_TLS_NAMES),
      (error) => {
        assert.ok(error instanceof WireError && error.code === "INVALID_ARGUMENT", String(error));
        assert.match(error.message, says);
        return true;
      },
    );
  }
});
