// Which package may import which: the table of ARCHITECTURE.md as data. `types` marks an import of which
// nothing may be left at run time. A package that is not here may not exist.

export interface Row {
  readonly may: readonly string[];
  /** Packages that may be imported with `import type` only. */
  readonly types?: readonly string[];
}

const LIBRARIES = [
  "base",
  "protobuf",
  "protocol",
  "grpc",
  "otlp",
  "wal",
  "metadata",
  "allocator",
  "stores",
  "fragments",
  "broker",
  "client",
  "jsonnet",
  "jsonata",
  "ingest",
  "api",
  "api-client",
  "targets",
  "warehouse",
];

export const IMPORT_TABLE: Readonly<Record<string, Row>> = {
  base: { may: [] },
  protobuf: { may: ["base"] },
  protocol: { may: ["base", "protobuf"] },
  grpc: { may: ["base"] },
  otlp: { may: ["base", "grpc", "protobuf"] },
  wal: { may: ["base"] },
  metadata: { may: ["base", "grpc", "protobuf", "wal"] },
  allocator: { may: ["base", "metadata"] },
  stores: { may: ["base", "protocol"] },
  fragments: { may: ["base", "protocol", "wal", "stores"] },
  broker: {
    may: [
      "base",
      "grpc",
      "protobuf",
      "protocol",
      "metadata",
      "allocator",
      "wal",
      "fragments",
      "stores",
      "client",
    ],
  },
  client: { may: ["base", "grpc", "protobuf", "protocol"] },
  jsonnet: { may: ["base"] },
  jsonata: { may: ["base"] },
  ingest: { may: ["base", "grpc", "otlp", "protocol", "metadata", "stores", "client", "jsonnet", "jsonata"] },
  api: { may: ["base", "metadata", "ingest", "jsonata"] },
  // Apart from `client`: who configures loads neither gRPC nor journals.
  "api-client": { may: ["base"] },
  targets: { may: ["base", "stores", "ingest"] },
  // Its test of conformance is that of all targets; nothing else of them is loaded into its process.
  warehouse: { may: ["base", "protocol", "stores", "client"], types: ["ingest", "targets"] },
  console: { may: [], types: ["api-client"] },
  server: { may: [...LIBRARIES, "console"] },
  cli: { may: ["base", "protocol", "client", "api-client", "server"] },
  sim: { may: [...LIBRARIES, "server", "cli"] },
};

/** Packages whose modules run in a browser too: `node:*` only in `system-*.ts`. */
export const BROWSER_SAFE: readonly string[] = ["base", "protobuf", "protocol"];
