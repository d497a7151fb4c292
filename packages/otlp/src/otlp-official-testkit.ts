// The official definitions, where Go's module cache has them (whoever builds etcd has): descriptors out of the
// generated Go sources, read by protobufjs. Nothing of them is kept here but the vectors of otlp.golden.txt.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import protobuf from "protobufjs";
import descriptor from "protobufjs/ext/descriptor/index.js";
import type { Signal } from "./index.ts";

const FILES = [
  "common/v1/common",
  "resource/v1/resource",
  "logs/v1/logs",
  "metrics/v1/metrics",
  "trace/v1/trace",
  "collector/logs/v1/logs_service",
  "collector/metrics/v1/metrics_service",
  "collector/trace/v1/trace_service",
];

export const NO_OFFICIAL = "no go.opentelemetry.io/proto/otlp in Go's module cache";

const SERVICES: Readonly<Record<Signal, string>> = {
  logs: "opentelemetry.proto.collector.logs.v1.ExportLogsService",
  metrics: "opentelemetry.proto.collector.metrics.v1.ExportMetricsService",
  traces: "opentelemetry.proto.collector.trace.v1.ExportTraceService",
};

export interface Official {
  /** @param request in OTLP's JSON */
  encodeRequest(signal: Signal, request: object): Uint8Array;
  decodeResponse(signal: Signal, bytes: Uint8Array): object;
}

export function officialOtlp(): Official | undefined {
  const folder = moduleFolder();
  if (folder === undefined) return undefined;
  const file = FILES.map((path) => descriptorOf(readFileSync(join(folder, `${path}.pb.go`), "utf8")));
  const root = (protobuf.Root as unknown as { fromDescriptor(set: unknown): protobuf.Root }).fromDescriptor(
    descriptor.FileDescriptorSet.create({ file }),
  );
  return {
    encodeRequest: (signal, request) => {
      const type = root.lookupType(`${SERVICES[signal]}Request`);
      return type.encode(type.fromObject(withBytes(request) as object)).finish();
    },
    decodeResponse: (signal, bytes) => {
      const type = root.lookupType(`${SERVICES[signal]}Response`);
      return type.toObject(type.decode(bytes), { longs: String });
    },
  };
}

function moduleFolder(): string | undefined {
  const cache = process.env["GOMODCACHE"] ?? join(process.env["GOPATH"] ?? join(homedir(), "go"), "pkg/mod");
  const parent = join(cache, "go.opentelemetry.io/proto");
  if (!existsSync(parent)) return undefined;
  const found = readdirSync(parent)
    .filter((name) => name.startsWith("otlp@"))
    .toSorted();
  return found.length === 0 ? undefined : join(parent, found.at(-1)!);
}

/** The serialized descriptor stands in the Go file as a list of bytes, or as a string in newer ones. */
function descriptorOf(source: string): unknown {
  const list = /_rawDesc = \[\]byte\{([^}]*)\}/.exec(source)?.[1];
  if (list === undefined) throw new Error("no descriptor in the generated file");
  const bytes = [...list.matchAll(/0x([0-9a-f]{2})/g)].map(([, digits]) => Number.parseInt(digits!, 16));
  return descriptor.FileDescriptorProto.decode(Uint8Array.from(bytes));
}

const IDS = /^(?:trace|span|parentSpan)Id$/;

/** As protobufjs wants it: names of the definitions, ids as bytes, numbers as numbers. */
function withBytes(json: unknown, key = ""): unknown {
  if (typeof json === "string" && IDS.test(key)) return Buffer.from(json, "hex");
  if (typeof json === "string" && key === "doubleValue") return Number(json);
  if (Array.isArray(json)) return json.map((item) => withBytes(item));
  if (typeof json !== "object" || json === null) return json;
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => [snakeCase(name), withBytes(value, name)]),
  );
}

export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (capital) => `_${capital.toLowerCase()}`);
}
