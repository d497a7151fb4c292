// Slow answers to what the solver must get right, by a textbook maximum flow (Ford and Fulkerson, depth first) over a
// graph with a node for each item, each zone of each item, and each member. For tests.

export interface FlowProblem {
  /** Units that each item wants, at most one on a member. */
  readonly wanted: readonly number[];
  readonly zoneOf: readonly number[];
  readonly zones: number;
  /** What each member takes. */
  readonly takes: readonly number[];
  /** What an item has in one zone at most. */
  readonly zoneCap: (item: number) => number;
}

/** Units that can be placed. */
export function maximumFlow({ wanted, zoneOf, zones, takes, zoneCap }: FlowProblem): number {
  const items = wanted.length;
  const zoneNode = (item: number, zone: number): number => 2 + items + item * zones + zone;
  const memberNode = (member: number): number => 2 + items + items * zones + member;
  const nodes = memberNode(takes.length);
  const capacity = Array.from({ length: nodes }, () => new Map<number, number>());
  const arc = (from: number, to: number, most: number): void => {
    capacity[from]!.set(to, most);
    if (!capacity[to]!.has(from)) capacity[to]!.set(from, 0);
  };
  for (const [item, units] of wanted.entries()) {
    arc(0, 2 + item, units);
    for (let zone = 0; zone < zones; zone++) arc(2 + item, zoneNode(item, zone), zoneCap(item));
    for (const [member, zone] of zoneOf.entries()) {
      if (zone >= 0) arc(zoneNode(item, zone), memberNode(member), 1);
    }
  }
  for (const [member, most] of takes.entries()) arc(memberNode(member), 1, most);

  const visit = (node: number, seen: Set<number>): boolean => {
    if (node === 1) return true;
    seen.add(node);
    for (const [next, room] of capacity[node]!) {
      if (room === 0 || seen.has(next) || !visit(next, seen)) continue;
      capacity[node]!.set(next, capacity[node]!.get(next)! - 1);
      capacity[next]!.set(node, capacity[next]!.get(node)! + 1);
      return true;
    }
    return false;
  };
  let flow = 0;
  while (visit(0, new Set())) flow++;
  return flow;
}
