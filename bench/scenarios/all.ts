// Every scenario, in the order of the table.
import type { Scenario } from "../scenario.ts";
import { apart } from "./apart.ts";
import { appendLarge } from "./append-large.ts";
import { clusterAppends } from "./cluster-appends.ts";
import { clusterOperations } from "./cluster-operations.ts";
import { clusterReads } from "./cluster-reads.ts";
import { httpToLog, httpToRow } from "./http-single.ts";
import { loadSlices } from "./load-slices.ts";
import { manyJournals } from "./many-journals.ts";
import { manySources } from "./many-sources.ts";
import { againstNats } from "./nats.ts";
import { mapped } from "./mapped.ts";
import { ndjson } from "./ndjson.ts";
import { rowLatency } from "./row-latency.ts";
import { startUp } from "./start-up.ts";
import { tailRead } from "./tail-read.ts";

export const SCENARIOS: readonly Scenario[] = [
  httpToRow,
  httpToLog,
  againstNats,
  ...mapped,
  apart,
  ndjson,
  appendLarge,
  tailRead,
  manyJournals,
  rowLatency,
  manySources,
  loadSlices,
  startUp,
  ...clusterAppends,
  ...clusterReads,
  ...clusterOperations,
];
