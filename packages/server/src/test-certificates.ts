// Certificates of an authority of a test's own, made by openssl.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ClientTls } from "@millrace/grpc";
import { scratch } from "./test-platform.ts";

export const noOpenssl = spawnSync("openssl", ["version"]).status === 0 ? false : "openssl is not installed";

/** Paths of PEM files. */
export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

export class TestAuthority {
  /** Path of its own certificate. */
  readonly ca: string;
  readonly #folder = scratch();
  readonly #own: KeyPair;

  constructor(name: string) {
    this.#own = this.#make(name, ["-x509", "-addext", "basicConstraints=critical,CA:TRUE"]);
    this.ca = this.#own.cert;
  }

  /** A pair for 127.0.0.1, good for servers and for clients. */
  issue(name: string): KeyPair {
    const { cert, key } = this.#own;
    const names = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"];
    return this.#make(name, ["-x509", "-CA", cert, "-CAkey", key, ...names]);
  }

  #make(name: string, how: readonly string[]): KeyPair {
    const pair = { cert: join(this.#folder, `${name}.pem`), key: join(this.#folder, `${name}.key`) };
    const fresh = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"];
    const files = ["-keyout", pair.key, "-out", pair.cert, "-subj", `/CN=${name}`];
    const args = ["req", ...how, ...fresh, ...files];
    const { status, stderr } = spawnSync("openssl", args, { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    return pair;
  }
}

/** Files that a process was told to use, and that are replaced under it. */
export class InstalledCertificates {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;

  constructor() {
    const folder = scratch();
    this.cert = join(folder, "own.pem");
    this.key = join(folder, "own.key");
    this.ca = join(folder, "authorities.pem");
  }

  install(pair: KeyPair): void {
    copyFileSync(pair.key, this.key);
    copyFileSync(pair.cert, this.cert);
  }

  trust(...authorities: readonly TestAuthority[]): void {
    writeFileSync(this.ca, authorities.map(({ ca }) => readFileSync(ca, "utf8")).join(""));
  }
}

/** What a client shows and trusts. */
export function clientOf(pair: KeyPair | undefined, authority: TestAuthority): () => ClientTls {
  const read = (file: string): string => readFileSync(file, "utf8");
  const own = pair === undefined ? {} : { cert: read(pair.cert), key: read(pair.key) };
  return () => ({ ca: read(authority.ca), ...own });
}
