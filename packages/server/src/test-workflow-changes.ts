// Changes of the configuration for the workflow test, drawn from a seed, over APIs that may die at any moment: another
// mapping, one that takes what was a dead letter and a replay of these, a rollback, the sink or its source disabled and
// enabled again. One at a time: each is asked for until it is
// done, and over when every door has seen it.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { never, text, type Random } from "@millrace/base";
import { prefixRange, type EtcdStore } from "@millrace/metadata";
import { ask, type Answer } from "./test-http.ts";
import { until } from "./test-platform.ts";
import type { StreamCluster, TestNode } from "./test-stream-cluster.ts";
import { shuffled } from "./test-stream-storm.ts";
import { pathColumn, type Column, type Row } from "./test-streams.ts";
import { MENDED, type Configuration, type ConfigurationHistory } from "./test-workflow-book.ts";

/** Longer than an API is paused: a request that was given up might be done later, over what came between. */
const ANSWER_MS = 120_000;
const DONE_MS = 300_000;
const SEEN_MS = 120_000;
const RETRY_MS = 100;
/** How long a source or a sink stays disabled. */
const DISABLED_MS = 1500;
/** Somebody else works on it, or the process is about to end. */
const LATER = new Set([409, 429, 503]);

const DEFINITIONS = "stream/definition/";
const DOORS = "stream/runtime/closesync/source/node/";

type Method = "GET" | "PATCH" | "POST" | "PUT";
type Change = (this: void) => Promise<void>;

export class WorkflowChanges {
  readonly #cluster: StreamCluster;
  readonly #etcd: EtcdStore;
  readonly #history: ConfigurationHistory;
  readonly #random: Random;
  readonly #source: string;
  readonly #sink: string;
  /** Versions of the sink by their numbers. */
  readonly #versions: (readonly [number: number, configuration: Configuration])[] = [];
  readonly #made = new Map<string, number>();
  #left: (readonly [what: string, change: Change])[] = [];
  #lastTag: number;
  #rounds = 0;

  /** @param place of the sink whose configuration the history is about */
  constructor(
    cluster: StreamCluster,
    etcd: EtcdStore,
    place: { readonly source: string; readonly sink: string },
    history: ConfigurationHistory,
    random: Random,
  ) {
    this.#cluster = cluster;
    this.#etcd = etcd;
    this.#history = history;
    this.#random = random;
    this.#source = `/v1/branches/default/sources/${place.source}`;
    this.#sink = `${this.#source}/sinks/${place.sink}`;
    this.#lastTag = history.newest.tag;
    this.#versions.push([1, history.newest]);
  }

  /** How often each change was made. */
  get rounds(): number {
    return this.#rounds;
  }

  describe(): string {
    return [...this.#made].map(([what, count]) => `${what}: ${count}`).join(", ");
  }

  /** The next change. @returns when it is over */
  async change(): Promise<void> {
    if (this.#left.length === 0) {
      this.#left = shuffled(
        [
          ["mapping changed", () => this.#map(false)],
          ["mapping changed", () => this.#map(false)],
          ["mended and replayed", async () => void (await this.mendAndReplay())],
          ["rolled back", () => this.#rollBack()],
          ["rolled back", () => this.#rollBack()],
          ["sink disabled and enabled", () => this.#disableSink()],
          ["source disabled and enabled", () => this.#disableSource()],
        ],
        this.#random,
      );
    }
    const [what, change] = this.#left.pop()!;
    await change();
    this.#made.set(what, (this.#made.get(what) ?? 0) + 1);
    if (this.#left.length === 0) this.#rounds++;
  }

  /** A mapping that takes every record also takes those that were letters. @returns the outputs of the replay */
  async mendAndReplay(): Promise<Row> {
    await this.#map(true);
    this.#history.replay();
    return this.perform("POST", `${this.#sink}/dead-letters/replay`);
  }

  /** Does what a request asks for, as often as is needed until its task has succeeded. @returns the task's outputs */
  async perform(method: Method, path: string, body?: unknown): Promise<Row> {
    let last = "nothing";
    const endMs = performance.now() + DONE_MS;
    for (let at = 0; performance.now() < endMs; at++) {
      const nodes = this.#cluster.all("api");
      const node = nodes[at % nodes.length]!;
      const answer = await this.#ask(node, method, path, body);
      if (typeof answer !== "string" && answer.status === 202) {
        const task = await this.#finished(answer.json());
        if (task["status"] === "success") return (task["outputs"] ?? {}) as Row;
        last = JSON.stringify(task);
      } else {
        last = typeof answer === "string" ? answer : `${answer.status} ${answer.text}`;
        if (typeof answer !== "string") assert.ok(LATER.has(answer.status), `${method} ${path}: ${last}`);
      }
      await sleep(RETRY_MS);
    }
    assert.fail(`${method} ${path} was not done within ${DONE_MS} ms: ${last}`);
  }

  /** What is at a path, whichever API has it. */
  async get(path: string): Promise<Row> {
    let found: Row | undefined;
    let last = "nothing";
    await until(
      () => `GET ${path}: ${last}`,
      DONE_MS,
      async () => {
        for (const node of this.#cluster.all("api")) {
          const answer = await this.#ask(node, "GET", path);
          last = typeof answer === "string" ? answer : `${answer.status} ${answer.text}`;
          if (typeof answer === "string" || answer.status !== 200) continue;
          found = answer.json();
          return true;
        }
        return false;
      },
      RETRY_MS,
    );
    return found!;
  }

  async #map(isMended: boolean): Promise<void> {
    const tag = ++this.#lastTag;
    const description = `Mapping ${tag}.`;
    const next = { tag, isEnabled: true, isMended };
    this.#history.ask(next);
    const table = { mapping: { columns: columnsOf(tag, isMended) } };
    await this.perform("PATCH", this.#sink, { table, changeDescription: description });
    await this.#seen();
    const { version } = await this.get(this.#sink);
    const { number, description: found } = version as { number: number; description: string };
    assert.equal(found, description);
    this.#versions.push([number, next]);
  }

  async #rollBack(): Promise<void> {
    const [number, configuration] = this.#versions[this.#random.below(this.#versions.length)]!;
    this.#history.ask(configuration);
    await this.perform("PUT", `${this.#sink}/versions/${number}/rollback`);
    await this.#seen();
  }

  async #disableSink(): Promise<void> {
    const before = this.#history.newest;
    for (const isEnabled of [false, true]) {
      this.#history.ask({ ...before, isEnabled });
      await this.perform("PUT", `${this.#sink}/${isEnabled ? "enable" : "disable"}`);
      await this.#seen();
      if (!isEnabled) await sleep(DISABLED_MS);
    }
  }

  /** Its sinks take what it takes: nothing. */
  async #disableSource(): Promise<void> {
    await this.perform("PUT", `${this.#source}/disable`);
    await sleep(DISABLED_MS);
    await this.perform("PUT", `${this.#source}/enable`);
  }

  /** Waits until every door has seen what the definitions are now. */
  async #seen(): Promise<void> {
    const definitions = await this.#etcd.range(prefixRange(DEFINITIONS), never);
    const current = definitions.kvs.filter(({ key }) => /\/(?:active|deleted)\//.test(key));
    const revision = Math.max(...current.map(({ modRevision }) => modRevision));
    const doors = this.#cluster.all("http-source").length;
    let last = "";
    await until(
      () => `${doors} doors have seen revision ${revision}: ${last}`,
      SEEN_MS,
      async () => {
        const { kvs } = await this.#etcd.range(prefixRange(DOORS), never);
        const seen = kvs.map(({ value }) => (JSON.parse(text(value)) as { revision: number }).revision);
        last = seen.join(", ");
        return seen.length === doors && seen.every((one) => one >= revision);
      },
      RETRY_MS,
    );
    this.#history.settle();
  }

  /** The task when it has ended: that of a process that died fails. */
  async #finished(started: Row): Promise<Row> {
    let task = started;
    const { pathname } = new URL(String(started["url"]));
    const isFinished = async (): Promise<boolean> => {
      if (task["isFinished"] !== true) task = await this.get(pathname);
      return task["isFinished"] === true;
    };
    await until(() => `the task has ended: ${JSON.stringify(task)}`, DONE_MS, isFinished, RETRY_MS);
    return task;
  }

  /** @returns the answer, or what became of the connection; then nothing of the request is under way any more */
  async #ask(node: TestNode, method: Method, path: string, body?: unknown): Promise<Answer | string> {
    const { lives } = node;
    const content =
      body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    try {
      return await ask(node.url + path, { method, limitMs: ANSWER_MS, ...content });
    } catch (error) {
      const { code = "none", message } = error as NodeJS.ErrnoException;
      if (code !== "ECONNREFUSED" && method !== "GET") {
        await until(`${node.name} has another life after ${message}`, ANSWER_MS, () => node.lives !== lives);
      }
      return `${code} ${message}`;
    }
  }
}

/** The mapping of a tag: each row tells by which one it was made. */
export function columnsOf(tag: number, isMended: boolean): readonly Column[] {
  const spare = isMended ? { defaultValue: MENDED } : {};
  return [
    ...["id", "check"].map(pathColumn),
    { type: "template", name: "tag", template: { language: "jsonnet", content: String(tag) } },
    { ...pathColumn("need"), ...spare },
    ...(isMended || tag % 2 === 1 ? [{ ...pathColumn("extra"), ...spare }] : []),
  ];
}
