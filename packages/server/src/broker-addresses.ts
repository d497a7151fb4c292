// In which order a process asks the brokers that the etcd has: those of its own zone first, those that leave last, and
// among equals each process begins elsewhere, so that they do not all ask the same one.

export interface KnownBroker {
  readonly zone: string;
  readonly endpoint: string;
  readonly isLeaving: boolean;
}

/** @param turn where to begin among equals: an integer >= 0 @returns endpoints, each once */
export function brokerAddresses(
  brokers: readonly KnownBroker[],
  { zone, turn }: { readonly zone: string; readonly turn: number },
): readonly string[] {
  const rank = (broker: KnownBroker): number => (broker.isLeaving ? 2 : broker.zone === zone ? 0 : 1);
  const ordered: string[] = [];
  for (const wanted of [0, 1, 2]) {
    const equals = brokers.filter((broker) => rank(broker) === wanted).map(({ endpoint }) => endpoint);
    const sorted = [...new Set(equals)].sort();
    const at = sorted.length === 0 ? 0 : turn % sorted.length;
    ordered.push(...sorted.slice(at), ...sorted.slice(0, at));
  }
  return [...new Set(ordered)];
}
