// How many connections the listeners of a process may hold: sockets are descriptors, and so are the files of the log,
// the spools and the stores. What connections take, the log cannot open, and then nothing is acknowledged any more.

/** Of the process's descriptors, for files and for what the platform itself connects to. */
const RESERVED_SHARE = 1 / 4;
const RESERVED_MIN = 64;
/** Of the rest. Records come from many clients, the other doors have few. */
const SHARES = { source: 0.6, other: 0.2 } as const;
/** Of a listener that has no setting. */
export const OTHER_CONNECTIONS_MAX = 10_000;
const CONNECTIONS_MIN = 8;

export interface ConnectionBounds {
  readonly source: number;
  /** Each of the others. */
  readonly other: number;
}

/**
 * @param descriptors that the process may have open; undefined when nobody knows
 * @param sourceMax what the setting allows
 */
export function connectionBounds(descriptors: number | undefined, sourceMax: number): ConnectionBounds {
  const all = { source: sourceMax, other: OTHER_CONNECTIONS_MAX };
  if (descriptors === undefined) return all;
  const free = descriptors - Math.max(RESERVED_MIN, Math.floor(descriptors * RESERVED_SHARE));
  const share = (part: keyof ConnectionBounds): number =>
    Math.min(all[part], Math.max(CONNECTIONS_MIN, Math.floor(free * SHARES[part])));
  return { source: share("source"), other: share("other") };
}

/** @param limits as the kernel tells them of a process @returns undefined for no limit, or for none that is told */
export function descriptorLimit(limits: string): number | undefined {
  const soft = /^Max open files\s+(\d+)\s/m.exec(limits)?.[1];
  return soft === undefined ? undefined : Number(soft);
}
