// What a healthy cluster must have, whatever came before.
import { assert, concatBytes, InvariantError, never, silentLogger, WireError } from "@millrace/base";
import { getJournal, readHead, readJournal } from "@millrace/client";
import { inlineCodecs, listRemoteFragments, readRemoteFragment, type Spool } from "@millrace/fragments";
import type { Fragment } from "@millrace/protocol";
import type { ClusterWorld } from "./cluster-world.ts";
import { pause, type Shift } from "./clients.ts";
import { checkRegisters, type JournalJudge } from "./journal-judge.ts";
import type { Machine } from "./machine.ts";

/** Replicas have the same bytes within this time after the last append. */
const EQUAL_MS = 30_000;
const READ_MS = 120_000;
/** Whoever has the bytes of an object that was cut short has written it again by then: replicas are in no hurry. */
const REPAIRED_MS = 900_000;
const CHUNK_BYTES = 64 * 1024;
const LOOK_MS = 500;

export async function checkCluster(world: ClusterWorld): Promise<void> {
  for (const judge of world.judges) {
    await world.finish(`equal replicas of ${judge.name}`, untilEqual(world, judge), EQUAL_MS);
    await world.finish(`stored fragments of ${judge.name}`, untilStored(world, judge), REPAIRED_MS);
    for (const machine of world.machines) {
      await world.finish(`reading ${judge.name} at ${machine.name}`, readAt(world, judge, machine), READ_MS);
    }
    await world.finish(`spools of ${judge.name}`, readSpools(world, judge), READ_MS);
    checkRegisters(judge);
  }
}

/** Every broker gives the whole journal, whoever has it. */
async function readAt(world: ClusterWorld, judge: JournalJudge, machine: Machine): Promise<void> {
  const floor = judge.acknowledgedEnd;
  const transport = world.transport(machine);
  const { writeHead } = await readHead(transport, judge.name, never);
  const facts = { journal: judge.name, machine: machine.name, writeHead, floor };
  assert(writeHead >= floor, "acknowledged appends are in every later read", facts);
  const ports = { transport, clock: world.clients.clock, logger: silentLogger };
  const options = { journal: judge.name, offset: 0, block: true, endOffset: writeHead };
  const parts: Uint8Array[] = [];
  for await (const event of readJournal(ports, options, never)) {
    assert(event.kind === "content", "a journal has no hole", facts);
    parts.push(event.bytes);
  }
  judge.sawWhole(`a reader at ${machine.name}`, concatBytes(parts), floor);
}

/** The members of the route stand at one end, and show all of it. */
async function untilEqual(world: ClusterWorld, judge: JournalJudge): Promise<void> {
  for (;;) {
    const spools = await membersOf(world, judge.name);
    const ends = new Set(
      spools.flatMap((spool) => (spool === undefined ? [-1] : [spool.end, spool.pendingEnd])),
    );
    if (ends.size === 1 && [...ends][0]! >= judge.acknowledgedEnd) return;
    await pause(world, 50);
  }
}

/** What the members of a journal's route have of it; undefined for one that has not opened it. */
async function membersOf(world: ClusterWorld, journal: string): Promise<readonly (Spool | undefined)[]> {
  const { route } = await getJournal(world.transport(world.machines[0]!), journal, never);
  return route.members.map(({ suffix }) => world.machine(suffix).spools.get(journal));
}

/** What any broker shows of the journal on its own disk. */
async function readSpools(world: ClusterWorld, judge: JournalJudge): Promise<void> {
  for (const machine of world.machines) {
    const spool = machine.spools.get(judge.name);
    if (spool !== undefined) await readSpool(machine, spool, judge, 0);
  }
}

/** @param from below it is nothing of interest @returns end of what was read */
async function readSpool(machine: Machine, spool: Spool, judge: JournalJudge, from: number): Promise<number> {
  let at = from;
  for (const { begin, end } of spool.fragments()) {
    for (at = Math.max(at, begin); at < end;) {
      const bytes = await spool.read(at, Math.min(CHUNK_BYTES, end - at), never);
      judge.saw(`the disk of ${machine.name}`, at, bytes);
      at += bytes.length;
    }
  }
  return at;
}

/** Looks now and then at what each broker shows of its disk: it is what everybody else is shown, and stays so. */
export async function watchSpools(world: ClusterWorld, shift: Shift): Promise<void> {
  const seen = new WeakMap<Spool, number>();
  const busy = new Set<Spool>();
  const look = async (machine: Machine, spool: Spool, judge: JournalJudge): Promise<void> => {
    busy.add(spool);
    try {
      seen.set(spool, await readSpool(machine, spool, judge, seen.get(spool) ?? 0));
    } catch (thrown) {
      // It may go away under whoever reads it; what it gives is all that counts.
      if (thrown instanceof InvariantError) world.fail(thrown);
    } finally {
      busy.delete(spool);
    }
  };
  while (!shift.isOver) {
    for (const machine of world.machines) {
      for (const judge of world.judges) {
        const spool = machine.spools.get(judge.name);
        // Whoever reads the disk of a process that is gone waits for ever.
        if (spool !== undefined && !busy.has(spool)) void look(machine, spool, judge);
      }
    }
    await pause(world, LOOK_MS);
  }
}

/** D18: whoever has cut an object short still has its bytes, and brings it to what its name says. */
async function untilStored(world: ClusterWorld, judge: JournalJudge): Promise<void> {
  for (;;) {
    try {
      if (await readStored(world, judge)) return;
      await pause(world, LOOK_MS);
    } catch (thrown) {
      if (world.swarm.tornObjects === 0 || WireError.from(thrown).code !== "CORRUPT") throw thrown;
      await pause(world, LOOK_MS);
    }
  }
}

/**
 * Fragments in the store are what their names say, and nothing else than what was appended. One that is cut short is
 * written again by who holds its bytes; whose holder died is passed over where others have all of them.
 * @returns whether they are all: a listing that lags hides objects to which it sends readers a moment later
 * @throws {WireError} CORRUPT
 */
async function readStored(world: ClusterWorld, judge: JournalJudge): Promise<boolean> {
  const ports = { stores: { open: world.store.bind(world) }, codecs: inlineCodecs, logger: silentLogger };
  const stores = [world.fragments.url];
  const sound: Fragment[] = [];
  const torn: { readonly fragment: Fragment; readonly error: unknown }[] = [];
  const listed = await listRemoteFragments(ports, { name: judge.name, stores }, never);
  for (const { fragment } of listed) {
    let at = fragment.begin;
    try {
      for await (const bytes of readRemoteFragment(ports, fragment, at, never)) {
        judge.saw(`a fragment in the store, [${fragment.begin}, ${fragment.end})`, at, bytes);
        at += bytes.length;
      }
      sound.push(fragment);
    } catch (error) {
      if (world.swarm.tornObjects === 0 || WireError.from(error).code !== "CORRUPT") throw error;
      torn.push({ fragment, error });
    }
  }
  for (const { fragment, error } of torn) if (!isCovered(fragment, sound)) throw error;
  return listed.length === world.fragments.keys().filter((key) => key.startsWith(`${judge.name}/`)).length;
}

function isCovered({ begin, end }: Fragment, fragments: readonly Fragment[]): boolean {
  let at = begin;
  const inOrder = [...fragments].sort((a, b) => a.begin - b.begin);
  for (const one of inOrder) if (one.begin <= at) at = Math.max(at, one.end);
  return at >= end;
}
