// gRPC and HTTP/1 on the broker's one port, plain and over TLS.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { Agent, request as secureRequest } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import {
  hostPolicy,
  never,
  RequestIds,
  silentLogger,
  systemClock,
  utf8,
  type Clock,
  type Logger,
} from "@millrace/base";
import { Agenda, seededRandom, SimulatedClock } from "@millrace/base/testkit";
import { callUnary, GrpcChannel, unary, type ClientTls } from "@millrace/grpc";
import type { HttpListener } from "./system-listen.ts";
import { listenShared } from "./system-shared-listen.ts";
import type { TlsFiles } from "./system-tls-files.ts";
import { scratch } from "./test-platform.ts";

const noOpenssl = spawnSync("openssl", ["version"]).status === 0 ? false : "openssl is not installed";
const PATH = "/test.Echo/Echo";

function listen(
  tls?: TlsFiles,
  clock: Clock = systemClock,
  logger: Logger = silentLogger,
): Promise<HttpListener> {
  return listenShared(
    "broker.listen",
    { host: "127.0.0.1", port: 0 },
    {
      clock,
      logger,
      guard: { policy: hostPolicy("127.0.0.1", false), ids: new RequestIds(seededRandom("shared")) },
      onRequest: (request, response) => response.end(`${request.method} ${request.url}`),
      calls: new Map([[PATH, unary((bytes) => Promise.resolve(bytes.slice()))]]),
      limits: {},
      tls,
    },
  );
}

async function echo(address: string, tls?: () => ClientTls): Promise<string> {
  const channel = new GrpcChannel({ address, clock: systemClock, logger: silentLogger, tls });
  try {
    const answer = await callUnary(channel, PATH, utf8("hello"), { timeoutMs: 5000 }, never);
    return Buffer.from(answer).toString();
  } finally {
    await channel.close(AbortSignal.abort());
  }
}

function body(port: number, headers: Record<string, string> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, path: "/x", headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () => resolve(`${response.statusCode} ${text}`));
    }).on("error", reject);
  });
}

test("shared port: gRPC, HTTP/1 in one piece and byte by byte, a foreign Host -> each its answer", async () => {
  const listener = await listen();
  const { port } = listener;
  assert.equal(await echo(`http://127.0.0.1:${port}`), "hello");
  assert.equal(await body(port), "200 GET /x");
  assert.match(await body(port, { host: "evil.example" }), /^403 Host "evil\.example"/);
  const socket = connect(port, "127.0.0.1");
  const answered = new Promise<string>((resolve) =>
    socket.once("data", (bytes) => resolve(bytes.toString())),
  );
  for (const letter of "PATCH /y HTTP/1.1\r\nHost: localhost\r\n\r\n") {
    await new Promise<void>((written) => socket.write(letter, () => written()));
  }
  assert.match(await answered, /^HTTP\/1\.1 200 OK/);
  socket.destroy();
  await listener.stop(never);
});

test("shared port: stopped while connections are idle, or hang -> ends", async () => {
  const listener = await listen();
  const silent = connect(listener.port, "127.0.0.1").on("error", () => undefined);
  await new Promise((connected) => silent.once("connect", connected));
  const halfway = connect(listener.port, "127.0.0.1").on("error", () => undefined);
  await new Promise<void>((sent) => halfway.write("GET / HTTP/1.1\r\nHost: loc", () => sent()));
  await body(listener.port);
  await listener.stop(AbortSignal.abort(new Error("now")));
});

interface Certificates extends TlsFiles {
  readonly folder: string;
}

/** A certificate that signs itself, for 127.0.0.1, valid under `name`. */
function certificate(folder: string, name: string): { cert: string; key: string } {
  const cert = join(folder, `${name}.pem`);
  const key = join(folder, `${name}.key`);
  const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"];
  const how = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const { status, stderr } = spawnSync("openssl", [...how, "-keyout", key, "-out", cert, ...subject], {
    encoding: "utf8",
  });
  assert.equal(status, 0, stderr);
  return { cert, key };
}

function certificates(): Certificates {
  const folder = scratch();
  return { folder, ...certificate(folder, "server"), ca: "" };
}

function secureBody(port: number, ca: string, client: ClientTls = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const agent = new Agent({ ca: readFileSync(ca), maxCachedSessions: 0 });
    const pem = { cert: client.cert as string | undefined, key: client.key as string | undefined };
    const request = secureRequest({ host: "127.0.0.1", port, path: "/x", agent, ...pem }, (response) => {
      response.resume().on("end", () => {
        agent.destroy();
        resolve(String(response.statusCode));
      });
    });
    request.on("error", reject).end();
  });
}

test(
  "shared port over TLS: gRPC by ALPN and HTTP/1 -> both answer; plain text does not",
  { skip: noOpenssl },
  async () => {
    const files = certificates();
    const listener = await listen(files);
    const address = `https://127.0.0.1:${listener.port}`;
    const ca = readFileSync(files.cert, "utf8");
    assert.equal(await echo(address, () => ({ ca })), "hello");
    assert.equal(await secureBody(listener.port, files.cert), "200");
    await assert.rejects(body(listener.port));
    await assert.rejects(echo(address, () => ({ ca: certificatePem("other") })));
    await listener.stop(never);
  },
);

function certificatePem(name: string): string {
  return readFileSync(certificate(scratch(), name).cert, "utf8");
}

test(
  "shared port over mutual TLS: a client without a certificate, or a foreign one -> refused",
  { skip: noOpenssl },
  async () => {
    const folder = scratch();
    const own = certificate(folder, "client");
    const foreign = certificate(folder, "foreign");
    const files = { ...certificates(), ca: own.cert };
    const lines: unknown[] = [];
    const warn: Logger["warn"] = (event, fields) => void lines.push(event, fields?.["reason"]);
    const listener = await listen(files, systemClock, { ...silentLogger, warn });
    const address = `https://127.0.0.1:${listener.port}`;
    const ca = readFileSync(files.cert, "utf8");
    const pem = ({ cert, key }: { cert: string; key: string }): ClientTls => ({
      ca,
      cert: readFileSync(cert, "utf8"),
      key: readFileSync(key, "utf8"),
    });
    assert.equal(await echo(address, () => pem(own)), "hello");
    assert.equal(await secureBody(listener.port, files.cert, pem(own)), "200");
    for (const client of [{ ca }, pem(foreign)]) {
      await assert.rejects(echo(address, () => client));
      await assert.rejects(secureBody(listener.port, files.cert, client));
    }
    // One line at a time.
    assert.deepEqual(lines, ["client-certificate-refused", "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE"]);
    await listener.stop(never);
  },
);

test(
  "shared port: certificate replaced on disk -> new connections get it; a broken one -> the old goes on",
  { skip: noOpenssl },
  async () => {
    const agenda = new Agenda();
    const files = certificates();
    const next = certificate(files.folder, "next");
    const old = readFileSync(files.cert);
    const listener = await listen(files, simulated(agenda));
    const copyOfOld = join(files.folder, "old.pem");
    copyFileSync(files.cert, copyOfOld);
    assert.ok(old.length > 0);
    copyFileSync(next.cert, files.cert);
    utimesSync(files.cert, 1, 1);
    await agenda.advance(11_000); // The key is still the old one: refused.
    assert.equal(await secureBody(listener.port, copyOfOld), "200");
    copyFileSync(next.key, files.key);
    await agenda.advance(11_000);
    assert.equal(await secureBody(listener.port, next.cert), "200");
    await assert.rejects(secureBody(listener.port, copyOfOld));
    await listener.stop(AbortSignal.abort(new Error("now")));
  },
);

test(
  "shared port: authorities of clients empty at the start -> refused; emptied on disk -> those before go on",
  { skip: noOpenssl },
  async () => {
    const own = certificate(scratch(), "client");
    const ca = join(scratch(), "authorities.pem");
    const files = { ...certificates(), ca };
    writeFileSync(ca, "");
    const refusal = `broker.server-ca-file: ${ca} holds no certificate (PEM)`;
    await assert.rejects(listen(files), { code: "INVALID_ARGUMENT", message: refusal });
    copyFileSync(own.cert, ca);
    const agenda = new Agenda();
    const lines: unknown[] = [];
    const warn: Logger["warn"] = (event, fields) => void lines.push(event, fields?.["ca"], fields?.["error"]);
    const listener = await listen(files, simulated(agenda), { ...silentLogger, warn });
    writeFileSync(ca, "");
    utimesSync(ca, 1, 1);
    await agenda.advance(11_000);
    assert.deepEqual(lines, ["certificates-not-replaced", ca, refusal]);
    const client = { cert: readFileSync(own.cert, "utf8"), key: readFileSync(own.key, "utf8") };
    assert.equal(await secureBody(listener.port, files.cert, client), "200");
    await listener.stop(AbortSignal.abort(new Error("now")));
  },
);

/** Only looking at the files is on the simulated clock. */
function simulated(agenda: Agenda): Clock {
  const clock = new SimulatedClock(agenda);
  return {
    wallMs: () => clock.wallMs(),
    monotonicMs: () => systemClock.monotonicMs(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
    after: (ms, run) => clock.after(ms, run),
  };
}
