// Time, moves and memory of the solver: `node packages/allocator/dist/solver.bench.js [ITEMS [MEMBERS [ZONES [R]]]]`.
// Default: 10,000 items wanted three times over 30 members in 3 zones. Times of the solver are CPU time, the median of
// seven runs.
import { systemClock } from "@millrace/base";
import { converge } from "./converge.ts";
import type { AssignmentEntry, ItemEntry, MemberEntry, Snapshot } from "./entries.ts";
import { saysConsistent, scenarioKeys } from "./scenario-keyspace.ts";
import { solve, type Solution } from "./solver.ts";
import { stateOf, type AllocatorState } from "./state.ts";

const [itemCount = 10_000, memberCount = 30, zoneCount = 3, replication = 3] = process.argv
  .slice(2)
  .map(Number);
const LIMIT = Math.ceil((itemCount * replication * 2) / memberCount);
const CONSISTENT = new TextEncoder().encode("consistent");

const items: readonly ItemEntry[] = Array.from({ length: itemCount }, (_, at) => {
  const id = `company/journal-${String(at).padStart(6, "0")}`;
  return { key: scenarioKeys.item(id), id, replication, modRevision: at + 1 };
});

function member(at: number, exiting = false): MemberEntry {
  const zone = `zone-${at % zoneCount}`;
  const name = `${zone}#broker-${String(at).padStart(3, "0")}`;
  const key = `/root/members/${name}`;
  return { key, name, zone, limit: LIMIT, exiting, createRevision: at + 1, modRevision: at + 1, lease: 0n };
}

function snapshot(
  members: readonly MemberEntry[],
  before?: { state: AllocatorState; desired: Solution },
): Snapshot {
  const sorted = [...members].sort((a, b) => (a.key < b.key ? -1 : 1));
  const alive = new Set(members.map(({ name }) => name));
  const assignments: AssignmentEntry[] = [];
  if (before !== undefined) {
    const { begin, members: desired } = before.desired;
    for (const [at, { id }] of items.entries()) {
      for (let i = begin[at]!; i < begin[at + 1]!; i++) {
        const { name } = before.state.members[desired[i]!]!;
        if (!alive.has(name)) continue;
        const slot = i - begin[at]!;
        const key = scenarioKeys.assignment(id, name, slot);
        assignments.push({ key, item: id, member: name, slot, value: CONSISTENT, modRevision: 1, lease: 0n });
      }
    }
  }
  return { revision: 1, items, members: sorted, assignments };
}

/** What no solution can do without: units that have no place, and those above the fair shares of their members. */
function fewestMoves(state: AllocatorState): number {
  let moves = 0;
  for (const [at, slots] of state.replication.entries()) {
    moves += Math.max(0, slots - (state.begin[at + 1]! - state.begin[at]!));
  }
  for (const [at, total] of state.totals.entries()) {
    const share = Math.ceil((state.capacity[at]! * state.itemSlots) / state.memberSlots);
    moves += Math.max(0, total - share);
  }
  return moves;
}

function measure(name: string, input: Snapshot): { state: AllocatorState; desired: Solution } {
  const times: number[] = [];
  let state!: AllocatorState;
  let desired!: Solution;
  let stateMs = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 7; run++) {
    const beginMs = systemClock.monotonicMs();
    state = stateOf(input);
    const builtMs = systemClock.monotonicMs();
    const before = process.cpuUsage();
    desired = solve(state);
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1000);
    stateMs = Math.min(stateMs, builtMs - beginMs);
  }
  const first = times[0]!;
  times.sort((a, b) => a - b);
  const planMs = systemClock.monotonicMs();
  const plan = converge(state, desired, { keys: scenarioKeys, isConsistent: saysConsistent, leader: 0 });
  const convergeMs = systemClock.monotonicMs() - planMs;
  const fewest = fewestMoves(state);
  process.stdout.write(
    `${name}: solve ${times[3]!.toFixed(1)} ms (first ${first.toFixed(1)}), state ${stateMs.toFixed(1)} ms, ` +
      `converge ${convergeMs.toFixed(1)} ms in ${plan.txns.length} transactions; ` +
      `placed ${desired.placed}/${state.itemSlots}, in one zone ${desired.inOneZone}, ` +
      `above share ${desired.aboveShare}, moves ${desired.added} (fewest ${fewest})\n`,
  );
  return { state, desired };
}

const all = Array.from({ length: memberCount }, (_, at) => member(at));
const placed = measure("from nothing", snapshot(all));
const settled = measure("again", snapshot(all, placed));
measure("one joins", snapshot([...all, member(memberCount)], settled));
measure("one leaves", snapshot(all.slice(1), settled));
measure("one drains", snapshot([member(0, true), ...all.slice(1)], settled));
measure("one is replaced", snapshot([...all.slice(1), member(memberCount)], settled));
if (zoneCount > 1) {
  measure(
    "a zone is lost",
    snapshot(
      all.filter((_, at) => at % zoneCount !== 0),
      settled,
    ),
  );
  measure("a zone is small", snapshot(all.filter((_, at) => at % zoneCount !== 0 || at < zoneCount)));
}
const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
const mb = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
process.stdout.write(`memory: heap ${mb(heapUsed)}, arrays ${mb(arrayBuffers)}, resident ${mb(rss)}\n`);
