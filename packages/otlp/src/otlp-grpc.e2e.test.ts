// OTLP over real sockets: grpc-js as the exporter, official definitions or golden bytes as its requests.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, beforeEach, describe, test } from "node:test";
import * as grpcJs from "@grpc/grpc-js";
import { silentLogger, systemClock, unhex } from "@millrace/base";
import { GrpcServer, SharedPort } from "@millrace/grpc";
import { encodeResponse, OTLP_GRPC_ENCODINGS, otlpHandlers, type Signal } from "./index.ts";
import { CASES } from "./otlp-cases-testkit.ts";
import { FakeDoor, SECRET } from "./otlp-door-testkit.ts";

const PATHS: Readonly<Record<Signal, string>> = {
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
};
const golden = new Map(
  readFileSync(new URL("../src/otlp.golden.txt", import.meta.url), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => line.split("\t") as [name: string, bytes: string]),
);
const identity = (bytes: Buffer): Buffer => bytes;

for (const compression of ["identity", "gzip"] as const) {
  describe(`OTLP over gRPC, ${compression}`, () => {
    let door: FakeDoor;
    let port: SharedPort;
    let server: GrpcServer;
    let client: grpcJs.Client;

    before(async () => {
      // The handlers ask whatever door the test at hand has.
      const handlers = otlpHandlers<string>({
        findBySecret: (secret) => door.findBySecret(secret),
        refusal: () => door.refusal(),
        gunzip: (source, bytes) => door.gunzip(source, bytes),
        walk: (source, walk) => door.walk(source, walk),
        write: (source, records) => door.write(source, records),
        onAnswered: (source, answered) => door.onAnswered(source, answered),
        limits: new FakeDoor().limits,
      });
      const options = {
        handlers,
        passEncodings: OTLP_GRPC_ENCODINGS,
        clock: systemClock,
        logger: silentLogger,
      };
      server = new GrpcServer(options);
      port = new SharedPort({
        onHttp2: (socket, read) => server.serve(socket, read),
        onOther: (socket) => socket.destroy(),
        clock: systemClock,
        logger: silentLogger,
      });
      const address = await port.listen({ host: "127.0.0.1", port: 0 });
      assert.ok("port" in address);
      client = new grpcJs.Client(`127.0.0.1:${address.port}`, grpcJs.credentials.createInsecure(), {
        "grpc.default_compression_algorithm": compression === "gzip" ? 2 : 0,
      });
    });
    beforeEach(() => {
      door = new FakeDoor();
    });
    after(async () => {
      client.close();
      await Promise.all([port.close(), server.stop(AbortSignal.timeout(500))]);
    });

    function exportTo(signal: Signal, request: Uint8Array, authorization?: string): Promise<Buffer> {
      const metadata = new grpcJs.Metadata();
      if (authorization !== undefined) metadata.set("authorization", authorization);
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          PATHS[signal],
          identity,
          identity,
          Buffer.from(request),
          metadata,
          (error, reply) => (error === null ? resolve(reply!) : reject(error)),
        );
      });
    }

    function exportCase(index = 0): Promise<Buffer> {
      const { name, signal } = CASES[index]!;
      return exportTo(signal, unhex(golden.get(name)!)!, `Bearer ${SECRET}`);
    }

    test("requests of all signals -> records in the source that the secret names", async () => {
      for (const [i, { signal, records }] of CASES.entries()) {
        door = new FakeDoor();
        assert.equal((await exportCase(i)).length, 0);
        assert.deepEqual(door.written, records.length === 0 ? [] : [{ source: "otel", signal, records }]);
        assert.equal(door.gunzips, compression === "gzip" ? 1 : 0);
        const [answered] = door.answered;
        assert.equal(answered?.isFailed, false);
        if (compression === "identity")
          assert.equal(answered.receivedBytes, unhex(golden.get(CASES[i]!.name)!)!.length);
      }
    });

    test("no secret, or a wrong one -> UNAUTHENTICATED, NOT_FOUND; nothing is decoded", async () => {
      const { UNAUTHENTICATED, NOT_FOUND } = grpcJs.status;
      const garbage = Uint8Array.of(0xff);
      await assert.rejects(exportTo("logs", garbage), { code: UNAUTHENTICATED });
      await assert.rejects(exportTo("logs", garbage, `Basic ${SECRET}`), { code: UNAUTHENTICATED });
      await assert.rejects(exportTo("logs", garbage, "Bearer other"), {
        code: NOT_FOUND,
        details: "Nobody.",
      });
      assert.equal(door.gunzips, 0);
      await assert.rejects(exportTo("logs", garbage, `Bearer ${SECRET}`), {
        code: grpcJs.status.INVALID_ARGUMENT,
        details: "Cannot decode OTLP logs payload: truncated varint.",
      });
    });

    test("some rejected -> OK with partial success", async () => {
      door.outcome = { rejected: 1, failure: { status: 422, firstError: "no column" } };
      const outcome = { total: CASES[1]!.records.length, ...door.outcome };
      const reply = await exportCase(1);
      assert.equal(
        reply.toString("hex"),
        Buffer.from(encodeResponse("logs", "protobuf", outcome)).toString("hex"),
      );
    });

    test("all rejected -> their status; what may be tried again is UNAVAILABLE with the delay", async () => {
      const { INVALID_ARGUMENT, UNAVAILABLE, INTERNAL } = grpcJs.status;
      const failures = [
        [{ status: 422, firstError: "x" }, INVALID_ARGUMENT, undefined],
        [{ status: 500, firstError: "x" }, INTERNAL, undefined],
        [{ status: 429, firstError: "x" }, UNAVAILABLE, 1],
        [{ status: 503, firstError: "x", retryAfter: 5 }, UNAVAILABLE, 5],
      ] as const;
      for (const [failure, code, seconds] of failures) {
        door.outcome = { rejected: 1, failure };
        await assert.rejects(exportCase(), (error: grpcJs.ServiceError) => {
          assert.equal(door.answered.at(-1)?.isFailed, true);
          assert.equal(error.code, code);
          assert.equal(error.details, "1 of 1 records rejected; first error: x");
          const [details] = error.metadata.get("grpc-status-details-bin");
          if (seconds === undefined) assert.equal(details, undefined);
          // RetryInfo { retry_delay { seconds } }
          else
            assert.match(
              (details as Buffer).toString("latin1"),
              new RegExp(`RetryInfo\x12\x04\x0a\x02\x08${String.fromCharCode(seconds)}$`, "s"),
            );
          return true;
        });
      }
    });
  });
}
