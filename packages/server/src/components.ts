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

/** Other names of components, where what Millrace unites called them otherwise. */
export const COMPONENT_ALIASES: ReadonlyMap<string, ComponentName> = new Map([["storage-writer", "broker"]]);

export type ComponentName = (typeof COMPONENTS)[number];
