// The parts of the platform that a process can run, in the order in which they start.

export const COMPONENTS = [
  "etcd",
  "broker",
  "warehouse",
  "storage-reader",
  "storage-coordinator",
  "http-source",
  "api",
  "console",
] as const;

export type ComponentName = (typeof COMPONENTS)[number];
