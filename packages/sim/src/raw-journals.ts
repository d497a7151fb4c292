// Users of journals: who appends, who reads along, and who reads everything.
import { assert, concatBytes, silentLogger, utf8, WireError, type Random } from "@millrace/base";
import {
  appendOnce,
  readHead,
  readJournal,
  type AppendContent,
  type AppendOptions,
  type ReaderOptions,
} from "@millrace/client";
import type { Node } from "./node.ts";
import type { RawJournal } from "./raw-journal.ts";
import type { Shift } from "./shift.ts";
import type { World } from "./world.ts";

export type AppendResult = "acknowledged" | "refused" | "mismatch" | "unknown" | "dead";

/** What an append may be refused with; then nothing of it was written. */
const REFUSALS: ReadonlySet<string> = new Set([
  "DISK_FULL",
  "OVERLOADED",
  "FRAGMENT_STORE_UNHEALTHY",
  "INSUFFICIENT_JOURNAL_BROKERS",
  "UNAVAILABLE",
  "SHUTTING_DOWN",
]);

/** Appends `bytes` once and tells the judge. @throws {WireError} what is no answer that a user must expect */
export async function appendRaw(
  world: World,
  { broker, process }: Node,
  journal: RawJournal,
  bytes: Uint8Array,
  shift: Shift,
  {
    content = { kind: "bytes", bytes: [bytes] },
    ...options
  }: AppendOptions & { readonly content?: AppendContent } = {},
): Promise<AppendResult> {
  journal.begin(bytes);
  try {
    const { begin } = await appendOnce(broker.transport, journal.name, content, options, process.signal);
    if (shift.isDead) return "dead";
    journal.acknowledge(begin, bytes);
    world.trace.add(`appended ${journal.name} ${begin}+${bytes.length}`);
    return "acknowledged";
  } catch (thrown) {
    if (shift.isDead) return "dead";
    const { code } = WireError.from(thrown);
    world.note(`append ${code}`, journal.name);
    if (code === "OUTCOME_UNKNOWN" || code === "INTERNAL") {
      journal.lose(bytes);
      return "unknown";
    }
    journal.refuse(bytes);
    if (code === "REGISTER_MISMATCH") return "mismatch";
    if (thrown === CUT || REFUSALS.has(code) || world.spoolRot.explains(thrown)) return "refused";
    throw thrown;
  }
}

const CUT = new WireError("REQUEST_TIMEOUT", "the client has gone away");

/** Appends of all sizes, some streamed, some of those cut off. */
export async function writeJournal(
  world: World,
  node: Node,
  journal: RawJournal,
  shift: Shift,
): Promise<void> {
  const random = node.random.fork(`writer ${shift.name}`);
  for (let n = 0; !shift.isOver; n++) {
    const size = [20, 500, 40_000][random.below(random.below(6) === 0 ? 3 : 2)]!;
    const label = `${shift.name}/${n};`;
    const bytes = utf8(label.repeat(1 + random.below(Math.ceil(size / label.length))));
    const content = random.below(2) === 0 ? undefined : streamed(bytes, random, random.below(10) === 0);
    await appendRaw(world, node, journal, bytes, shift, content === undefined ? {} : { content });
    await world.sleep(random.below(world.swarm.paceMs * 1.5));
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

/** Comes and goes, and reads something old each time: for a while, or up to the head. */
export async function readAgain(world: World, node: Node, journal: RawJournal, shift: Shift): Promise<void> {
  const random = node.random.fork(`reader ${shift.name}`);
  while (!shift.isOver) {
    const offset = random.below(journal.readEnd + 1);
    const pauseMs = random.below(world.swarm.paceMs * 5);
    if (random.below(2) === 0) {
      const end = tailJournal(world, node, journal, offset);
      await world.sleep(pauseMs);
      end();
    } else {
      await readToHead(world, node, journal, offset, shift);
      await world.sleep(pauseMs);
    }
  }
}

/** Reads without waiting: to what is the end by now, unless the reader says why not. */
async function readToHead(
  world: World,
  node: Node,
  journal: RawJournal,
  offset: number,
  shift: Shift,
): Promise<void> {
  const ports = { transport: node.broker.transport, clock: world.clock, logger: silentLogger };
  const { end } = journal.model;
  const options = { journal: journal.name, offset, block: false };
  let at = offset;
  try {
    for await (const event of readJournal(ports, options, node.process.signal)) {
      if (shift.isDead) return;
      assert(event.kind === "content", "a journal has no hole", { journal: journal.name, at });
      journal.read(at, event.bytes);
      at += event.bytes.length;
    }
    if (!shift.isDead) assert(at >= end, "a read that ends has come to the head", { at, end });
  } catch (thrown) {
    if (shift.isDead || world.spoolRot.explains(thrown)) return;
    const { code, facts } = WireError.from(thrown);
    world.note(`read ${code}`, journal.name);
    if (code === "SUSPENDED") return;
    const { begin, end } = facts as { begin: number; end: number };
    const isTold = code === "OFFSET_NOT_YET_AVAILABLE" && begin >= at && begin < end;
    if (!isTold || world.swarm.faults.listLagMs === 0) throw thrown;
  }
}

/** Reads along from somewhere in the middle, and is given what everybody else is. @returns what ends it */
export function tailJournal(
  world: World,
  node: Node,
  journal: RawJournal,
  offset = node.random.fork(`tail ${journal.name}`).below(journal.readEnd + 1),
): () => void {
  const over = new AbortController();
  const read = (at: number, bytes: Uint8Array): void => {
    if (over.signal.aborted) return;
    world.trace.add(`read ${journal.name} ${at}+${bytes.length}`);
    journal.read(at, bytes);
  };
  const users = { onContent: read, onRot: () => undefined };
  follow(world, node, { journal: journal.name, offset, block: true }, users, over.signal).catch(
    (error: unknown) => {
      if (!over.signal.aborted) world.fail(error);
    },
  );
  return () => over.abort(new WireError("SHUTTING_DOWN", "nobody reads any more"));
}

/**
 * Everything that the journal holds now; a file that is refused as rotten is mended. It waits for fragments that their
 * store does not list yet: to a read that does not wait a hole looks like the head.
 */
export async function readWhole(world: World, node: Node, name: string): Promise<Uint8Array> {
  const { signal } = node.process;
  const { writeHead } = await readHead(node.broker.transport, name, signal);
  const parts: Uint8Array[] = [];
  if (writeHead === 0) return concatBytes(parts);
  const options = { journal: name, offset: 0, block: true, endOffset: writeHead };
  const onContent = (_: number, bytes: Uint8Array): void => void parts.push(bytes);
  await follow(world, node, options, { onContent, onRot: () => world.spoolRot.mend() }, signal);
  return concatBytes(parts);
}

/** Pause before a journal is read again that is asleep or rotten. */
const AGAIN_MS = 10_000;

interface Follower {
  onContent(offset: number, bytes: Uint8Array): void;
  /** The read was refused because the file rotted. */
  onRot(): void;
}

/**
 * Reads on when the journal was asleep or has rotted.
 */
async function follow(
  world: World,
  node: Node,
  options: ReaderOptions,
  follower: Follower,
  signal: AbortSignal,
): Promise<void> {
  const ports = { transport: node.broker.transport, clock: world.clock, logger: silentLogger };
  const { journal } = options;
  for (let at = options.offset; ;) {
    try {
      for await (const event of readJournal(ports, { ...options, offset: at }, signal)) {
        if (event.kind === "jump") {
          assert(false, "a journal has no hole", { journal, from: event.from, to: event.to });
        }
        assert(event.offset === at, "content follows on content", { journal, at, offset: event.offset });
        follower.onContent(at, event.bytes);
        at += event.bytes.length;
      }
      if (options.endOffset !== undefined && at >= options.endOffset) return;
    } catch (thrown) {
      if (world.spoolRot.explains(thrown)) follower.onRot();
      else if (WireError.from(thrown).code !== "SUSPENDED") throw thrown;
    }
    await world.sleep(AGAIN_MS);
  }
}

/** Makes the journal if it is not there yet, and compares it with what is known of it. @throws {WireError} CORRUPT */
export async function checkJournal(world: World, node: Node, journal: RawJournal): Promise<void> {
  for (;;) {
    const content = { kind: "bytes", bytes: [] } as const;
    const { transport } = node.broker;
    const answer = await appendOnce(transport, journal.name, content, {}, node.process.signal).catch(
      (error: unknown) => WireError.from(error),
    );
    if (!(answer instanceof WireError)) break;
    if (world.spoolRot.explains(answer)) world.spoolRot.mend();
    else if (!REFUSALS.has(answer.code) && answer.code !== "OUTCOME_UNKNOWN") throw answer;
    await world.sleep(100);
  }
  const content = await readWhole(world, node, journal.name);
  world.trace.add(`checked ${journal.name} ${content.length}`);
  journal.checkWhole(content);
}
