// Those who use the cluster: who appends, who reads along, who fences others off with a register (D17), and who changes
// what journals ask for. Each request goes to any broker.
import { assert, silentLogger, WireError, type Random } from "@millrace/base";
import { getJournal, readJournal, type AppendContent, type JournalTransport } from "@millrace/client";
import {
  EMPTY_LABELS,
  labelSet,
  type AppendPreamble,
  type AppendResponse,
  type JournalSpec,
} from "@millrace/protocol";
import type { ClusterWorld } from "./cluster-world.ts";
import type { Append, JournalJudge } from "./journal-judge.ts";
import type { Machine } from "./machine.ts";

/** Codes after which certainly nothing was written. */
const REFUSALS: ReadonlySet<string> = new Set([
  "NOT_PRIMARY",
  "INSUFFICIENT_JOURNAL_BROKERS",
  "JOURNAL_NOT_FOUND",
  "SUSPENDED",
  "FRAGMENT_STORE_UNHEALTHY",
  "WRONG_APPEND_OFFSET",
  "INDEX_HAS_GREATER_OFFSET",
]);
/** How long a client waits for an answer. */
const PATIENCE_MS = 15_000;
const REGISTER = "fence";

export interface Shift {
  readonly name: string;
  isOver: boolean;
}

export type AppendResult = "acknowledged" | "refused" | "mismatch" | "unknown";

/** Appends once, somewhere, and tells the judge. */
export async function appendOnce(
  world: ClusterWorld,
  judge: JournalJudge,
  append: Append,
  machine: Machine,
  { content = { kind: "bytes", bytes: [append.bytes] }, ...fields }: AppendHow = {},
): Promise<AppendResult> {
  const { clients, trace } = world;
  const what = `append ${judge.name} #${append.number} ${append.bytes.length} bytes at ${machine.name}`;
  const limit = new AbortController();
  const cancel = clients.clock.after(PATIENCE_MS, () =>
    limit.abort(new WireError("UNAVAILABLE", "too late")),
  );
  trace.add(what);
  const done = (result: AppendResult, detail: string): AppendResult => {
    world.tally.set(`append ${result}`, (world.tally.get(`append ${result}`) ?? 0) + 1);
    trace.add(`${what}: ${result} ${detail}`);
    return result;
  };
  try {
    const request = { ...preamble(judge.name), ...fields };
    const answer = await world.transport(machine).append(request, content, limit.signal);
    if (answer.status === "OK") {
      const begin = beginOf(answer);
      judge.acknowledge(append, begin);
      return done("acknowledged", String(begin));
    }
    const isMismatch = answer.status === "REGISTER_MISMATCH";
    judge.refuse(append, isMismatch);
    return done(isMismatch ? "mismatch" : "refused", answer.status);
  } catch (thrown) {
    const { code, message } = WireError.from(thrown);
    if (thrown === CUT || REFUSALS.has(code)) {
      judge.refuse(append);
      return done("refused", `${code} ${message}`);
    }
    judge.lose(append);
    return done("unknown", `${code} ${message}`);
  } finally {
    cancel();
  }
}

export type AppendHow = Partial<AppendPreamble> & { readonly content?: AppendContent };

export function preamble(journal: string): AppendPreamble {
  return { journal, doNotProxy: false, offset: 0, suspend: "SUSPEND_RESUME", minEtcdRevision: 0 };
}

function beginOf({ commit }: AppendResponse): number {
  assert(commit !== undefined, "an append that is OK has a commit");
  return commit.begin;
}

const CUT = new WireError("REQUEST_TIMEOUT", "the client has gone away");

/** Appends of all sizes, some streamed, some of those cut off. */
export async function write(world: ClusterWorld, judge: JournalJudge, shift: Shift): Promise<void> {
  const random = world.random.fork(`writer ${shift.name}`);
  while (!shift.isOver) {
    const size = [10, 300, 20_000][random.below(random.below(8) === 0 ? 3 : 2)]!;
    const append = judge.begin(1 + random.below(size), random);
    const how = random.below(4) > 0 ? {} : { content: streamed(append.bytes, random, random.below(6) === 0) };
    await appendOnce(world, judge, append, anyMachine(world, random), how);
    await pause(world, random.below(world.swarm.paceMs * 2));
  }
}

function streamed(bytes: Uint8Array, random: Random, isCut: boolean): AppendContent {
  const piece = 1 + random.below(bytes.length);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += piece)
      yield await Promise.resolve(bytes.subarray(at, at + piece));
    if (isCut) throw CUT;
  }
  return { kind: "chunks", chunks: chunks() };
}

/** Reads along from somewhere, at a broker until that fails or the reader wants another. */
export async function tail(world: ClusterWorld, judge: JournalJudge, shift: Shift): Promise<void> {
  const random = world.random.fork(`reader ${shift.name}`);
  while (!shift.isOver) {
    const machine = anyMachine(world, random);
    const over = new AbortController();
    const reason = new WireError("UNAVAILABLE", "the reader goes elsewhere");
    world.clients.clock.after(random.below(20 * world.swarm.paceMs), () => over.abort(reason));
    const offset = random.below(3) === 0 ? 0 : random.below(judge.acknowledgedEnd + 1);
    try {
      await readAlong(world, judge, machine, offset, over.signal);
    } catch (thrown) {
      const { code, message } = WireError.from(thrown);
      if (thrown !== reason) world.note(`read ${code}`, `${judge.name} at ${machine.name}: ${message}`);
    }
    await pause(world, random.below(world.swarm.paceMs * 2));
  }
}

async function readAlong(
  world: ClusterWorld,
  judge: JournalJudge,
  machine: Machine,
  offset: number,
  signal: AbortSignal,
): Promise<void> {
  const ports = { transport: world.transport(machine), clock: world.clients.clock, logger: silentLogger };
  const options = { journal: judge.name, offset, block: true };
  let at = offset;
  for await (const event of readJournal(ports, options, signal)) {
    const facts = { journal: judge.name, machine: machine.name, at };
    assert(event.kind === "content", "a journal has no hole", facts);
    assert(event.offset === at, "content follows on content", facts);
    judge.saw(`a reader at ${machine.name}`, at, event.bytes);
    at += event.bytes.length;
  }
}

/** Takes over, writes for a while as the owner, and tries now and then what a former owner would. */
export async function fence(world: ClusterWorld, judge: JournalJudge, shift: Shift): Promise<void> {
  const random = world.random.fork(`fence ${shift.name}`);
  /** What the register may be: takeovers whose outcome is unknown may even come late. */
  let mine: string | undefined;
  const former = [""];
  for (let n = 0; !shift.isOver; n++) {
    const machine = anyMachine(world, random);
    if (mine === undefined || random.below(8) === 0) {
      const next = `${shift.name.replace(/\W/g, "-")}.${n}`;
      const expected = mine ?? former[random.below(former.length)]!;
      former.push(next);
      const result = await fenced(world, judge, machine, random, { expected, next });
      mine = result === "acknowledged" ? next : result === "refused" ? mine : undefined;
    } else {
      const isStale = random.below(3) === 0;
      const expected = isStale ? former[random.below(former.length)]! : mine;
      const result = await fenced(world, judge, machine, random, { expected, next: undefined });
      // Another fencing client may have taken over.
      if (expected === mine && result === "mismatch") mine = undefined;
    }
    await pause(world, random.below(world.swarm.paceMs * 2));
  }
}

function fenced(
  world: ClusterWorld,
  judge: JournalJudge,
  machine: Machine,
  random: Random,
  use: { readonly expected: string; readonly next: string | undefined },
): Promise<AppendResult> {
  const include = use.expected === "" ? EMPTY_LABELS : labelSet([REGISTER, use.expected]);
  const exclude = use.expected === "" ? labelSet([REGISTER, ""]) : EMPTY_LABELS;
  return appendOnce(world, judge, judge.begin(10, random, use), machine, {
    checkRegisters: { include, exclude },
    ...(use.next === undefined ? {} : { unionRegisters: labelSet([REGISTER, use.next]) }),
  });
}

/** @returns whether it was changed */
export function changeReplication(
  world: ClusterWorld,
  journal: string,
  replication: number,
  transport: JournalTransport,
): Promise<boolean> {
  const what = `replication of ${journal} ${replication}`;
  return changeSpec(world, journal, what, (spec) => ({ ...spec, replication }), transport);
}

/** Changes a journal's spec at a broker. @returns whether it was changed */
export async function changeSpec(
  world: ClusterWorld,
  journal: string,
  what: string,
  change: (spec: JournalSpec) => JournalSpec,
  transport: JournalTransport,
): Promise<boolean> {
  const { signal } = new AbortController();
  try {
    const { spec, modRevision } = await getJournal(transport, journal, signal);
    const changes = [{ expectModRevision: modRevision, upsert: change(spec), delete: "" }];
    const { status } = await transport.apply({ changes }, signal);
    world.trace.add(`${what}: ${status}`);
    return status === "OK";
  } catch (thrown) {
    world.trace.add(`${what}: ${WireError.from(thrown).message}`);
    return false;
  }
}

/** Asks for a journal to be put to sleep. */
export async function suspend(
  world: ClusterWorld,
  journal: string,
  transport: JournalTransport,
): Promise<void> {
  const { signal } = new AbortController();
  try {
    const request = { ...preamble(journal), suspend: "SUSPEND_NOW" } as const;
    const { status } = await transport.append(request, { kind: "bytes", bytes: [] }, signal);
    world.note(`suspend ${status}`, journal);
  } catch (thrown) {
    world.note(`suspend ${WireError.from(thrown).code}`, `${journal}: ${WireError.from(thrown).message}`);
  }
}

export function anyMachine({ machines }: ClusterWorld, random: Random): Machine {
  return machines[random.below(machines.length)]!;
}

export function pause({ agenda }: ClusterWorld, ms: number): Promise<void> {
  return new Promise((resolve) => agenda.schedule(ms, resolve));
}
