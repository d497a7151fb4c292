import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger, text } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import type { TxnRequest } from "@millrace/metadata";
import type { Progress } from "./reader-progress.ts";
import { publishProgress, type PublisherPorts } from "./reader-publisher.ts";

const PATH = "1/1/source/sink";
const KEY = { projectId: 1, branchId: 1, sourceId: "source", sinkId: "sink" };

function progressAt(offset: number, begin = 0): Progress {
  return { begin, offset, writeHead: offset, records: 1, bytes: offset, firstMs: 1, lastMs: 1, full: false };
}

/** Readers that publish to one store, and what stands there. */
function world(): {
  readonly agenda: Agenda;
  readonly puts: string[];
  shown(): Progress | undefined;
  /** What another process puts there, as every view sees it. */
  put(progress: Progress): void;
  /** @returns tells that it has read so far, or cannot read a journal that ends there */
  reader(name: string): (progress: Progress | number) => void;
  stop(): void;
} {
  const agenda = new Agenda();
  const partition: { n: number; entity: object; slices: object[]; progress: Progress | undefined } = {
    n: 0,
    entity: { value: { state: "active" } },
    slices: [{ value: { begin: 0 } }],
    progress: undefined,
  };
  const view = { sinks: new Map([[PATH, { key: KEY, partitions: new Map([[0, partition]]) }]]) };
  const listeners: ((paths: Iterable<string>) => void)[] = [];
  const puts: string[] = [];
  const stop = new AbortController();
  const put = (progress: Progress): void => {
    partition.progress = progress;
    for (const listener of listeners) listener([PATH]);
  };
  return {
    agenda,
    puts,
    shown: () => partition.progress,
    put,
    reader: (name) => {
      let own: Progress | number | undefined;
      const read = (): Progress | undefined => (typeof own === "number" ? undefined : own);
      const told: ((path: string) => void)[] = [];
      const ports = {
        store: {
          txn: ({ success }: TxnRequest) => {
            for (const op of success) {
              if (op.kind !== "put") continue;
              const progress = JSON.parse(text(op.value)) as Progress;
              puts.push(`${name} ${progress.begin} ${progress.offset}`);
              put(progress);
            }
            return Promise.resolve();
          },
        },
        storage: {
          view,
          observe: (listener: (paths: Iterable<string>) => void) => {
            listeners.push(listener);
            return () => undefined;
          },
        },
        feed: {
          progress: read,
          seal: read,
          unreadHead: () => (typeof own === "number" ? own : undefined),
          onProgress: (listener: (path: string) => void) => {
            told.push(listener);
            return () => undefined;
          },
        },
        clock: new SimulatedClock(agenda),
        logger: silentLogger,
      } as unknown as PublisherPorts;
      void publishProgress(ports, { intervalMs: 200, spacingMs: () => 0 }, stop.signal);
      return (progress) => {
        own = progress;
        for (const listener of told) listener(PATH);
      };
    },
    stop: () => stop.abort(new Error("over")),
  };
}

test("publisher: two read a partition -> who is behind says nothing", async () => {
  const w = world();
  const [ahead, behind] = [w.reader("ahead"), w.reader("behind")];
  ahead(progressAt(100));
  await w.agenda.advance(500);
  behind(progressAt(40));
  await w.agenda.advance(500);
  assert.deepEqual(w.puts, ["ahead 0 100"]);
  behind(progressAt(150));
  await w.agenda.advance(500);
  assert.deepEqual(w.puts, ["ahead 0 100", "behind 0 150"]);
  w.stop();
});

test("publisher: what it said is overwritten by who is behind, or of an older slice -> said again", async () => {
  const w = world();
  w.reader("ahead")(progressAt(100, 60));
  await w.agenda.advance(500);
  for (const other of [progressAt(80, 60), progressAt(60, 0)]) {
    w.put(other);
    await w.agenda.advance(1000);
    assert.equal(w.shown()?.offset, 100);
  }
  assert.equal(w.puts.length, 3);
  await w.agenda.advance(5000);
  assert.equal(w.puts.length, 3, "once each");
  w.stop();
});

test("publisher: a partition that cannot be read -> where it ends is said, and what was read stays", async () => {
  const w = world();
  const barred = w.reader("barred");
  barred(70);
  await w.agenda.advance(1000);
  assert.deepEqual(w.puts, ["barred 0 0"]);
  assert.deepEqual([w.shown()?.writeHead, w.shown()?.records], [70, 0]);
  w.put(progressAt(40));
  await w.agenda.advance(1000);
  const { records, offset, writeHead } = w.shown()!;
  assert.deepEqual([records, offset, writeHead], [1, 40, 70]);
  assert.equal(w.puts.length, 2);
  barred(60);
  await w.agenda.advance(1000);
  assert.equal(w.puts.length, 2, "less is no news");
  barred(progressAt(90));
  await w.agenda.advance(1000);
  assert.deepEqual([w.shown()?.offset, w.shown()?.writeHead], [90, 90]);
  w.stop();
});
