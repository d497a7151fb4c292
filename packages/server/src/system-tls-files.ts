// PEM files of TLS, read together and looked at before anything is made of them.
//
// F1 A file of authorities that was named has at least one certificate, and each one in it can be read: an empty one
//    would mean "none given" to Node, which trusts those of the platform then.
// F2 A key belongs to its certificate. What does not fit is found here, with its setting and file, not in a handshake.
import { createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { WireError } from "@millrace/base";

/** Paths; "": none. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** Of the authorities that the other side's certificates must be from. */
  readonly ca: string;
}

/** What each of the files is called where it was named. */
export type TlsNames = TlsFiles;

/** PEM. Nothing is "". */
export interface TlsMaterial {
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
}

export const SERVER_TLS_NAMES: TlsNames = {
  cert: "broker.server-cert-file",
  key: "broker.server-cert-key-file",
  ca: "broker.server-ca-file",
};
export const PEER_TLS_NAMES: TlsNames = {
  cert: "broker.peer-cert-file",
  key: "broker.peer-cert-key-file",
  ca: "broker.peer-ca-file",
};
export const ETCD_TLS_NAMES: TlsNames = {
  cert: "etcd.cert-file",
  key: "etcd.cert-key-file",
  ca: "etcd.trusted-ca-file",
};

const BEGIN = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/;
const END = /-----END (?:TRUSTED |X509 )?CERTIFICATE-----/;

/** @throws {WireError} INVALID_ARGUMENT naming the setting and the file of what cannot be used (F1, F2) */
export function readTls(files: TlsFiles, names: TlsNames): TlsMaterial {
  if ((files.cert === "") !== (files.key === "")) {
    throw refused(`${names.cert} and ${names.key} go together: one of them is missing`);
  }
  return {
    ...(files.cert === "" ? {} : readPair(files, names)),
    ...(files.ca === "" ? {} : { ca: readCertificates(files.ca, names.ca).pem }),
  };
}

function readPair(files: TlsFiles, names: TlsNames): { readonly cert: string; readonly key: string } {
  const { pem: cert, first } = readCertificates(files.cert, names.cert);
  const key = read(files.key, names.key);
  if (!first.checkPrivateKey(parseKey(key, files.key, names.key))) {
    throw refused(
      `${names.key}: ${files.key} is not the key of the certificate in ${files.cert} (${names.cert})`,
    );
  }
  try {
    // What OpenSSL does not take for other reasons: a key that is too short, a digest that is too weak.
    createSecureContext({ cert, key });
  } catch (error) {
    throw refused(`${names.cert}: ${files.cert} cannot be used: ${(error as Error).message}`);
  }
  return { cert, key };
}

function readCertificates(
  file: string,
  name: string,
): { readonly pem: string; readonly first: X509Certificate } {
  const pem = read(file, name);
  const [, ...parts] = pem.split(BEGIN);
  const found = parts.map((part, at) => {
    const end = END.exec(part);
    const which = `certificate ${at + 1} of ${parts.length} in ${file}`;
    if (end === null) throw refused(`${name}: ${which} has no end`);
    const body = part.slice(0, end.index);
    try {
      return new X509Certificate(`-----BEGIN CERTIFICATE-----${body}-----END CERTIFICATE-----\n`);
    } catch (error) {
      throw refused(`${name}: ${which} cannot be read: ${(error as Error).message}`);
    }
  });
  const [first] = found;
  if (first === undefined) throw refused(`${name}: ${file} holds no certificate (PEM)`);
  return { pem, first };
}

function parseKey(pem: string, file: string, name: string): KeyObject {
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    throw refused(`${name}: ${file} holds no private key (PEM)`);
  }
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw refused(`${name}: the private key in ${file} cannot be read: ${(error as Error).message}`);
  }
}

function read(file: string, name: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw refused(`${name}: cannot read ${file}: ${(error as Error).message}`);
  }
}

function refused(text: string): WireError {
  return new WireError("INVALID_ARGUMENT", text);
}
