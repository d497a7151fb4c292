// The HTTP source over real sockets with everything behind it in memory: definitions in a memory store, partitions that
// are there at once, journals that are lists of frames. For the tests of the door.
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";

import {
  concatBytes,
  MetricsRegistry,
  never,
  parseNetwork,
  silentLogger,
  systemClock,
  text,
  type Clock,
  type Logger,
  type WireError,
} from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import type { ProgramEvaluator } from "@millrace/jsonata";
import { localEvaluator } from "@millrace/jsonata/testkit";
import { openMemoryStore } from "@millrace/metadata/testkit";

import { decompressBody } from "./body-decompress.ts";
import { DefinitionMirror } from "./definition-mirror.ts";
import { DefinitionRepository, type NewSink } from "./definition-repository.ts";
import type { Column, SettingValues, SourceKey, SourceType } from "./definitions.ts";
import type { DiskUse } from "./disk-quota.ts";
import { FrameDecoder } from "./frame-decoder.ts";
import { FrameFilter } from "./frame-filter.ts";
import type { Frame } from "./frame.ts";
import { HttpSource, type HttpSourcePorts } from "./http-source.ts";
import { DEFAULT_DOOR_LIMITS, type DoorLimits } from "./limits.ts";
import type { FramePort } from "./publisher.ts";
import { systemTurns } from "./system-turns.ts";
import type { WebhookSignature } from "./webhook-signature.ts";
import { plainSecrets, type SecretBox } from "./secret-box.ts";

export const SOURCE: SourceKey = { projectId: 1, branchId: 1, sourceId: "flights" };
export const COLUMNS: readonly Column[] = [
  { type: "path", name: "origin", path: "origin", rawString: true },
  { type: "body", name: "body" },
];

/** Journals in memory. What `fail` returns is thrown before anything is kept. */
export class MemoryFrames implements FramePort {
  readonly journals = new Map<string, Uint8Array[]>();
  fail: (journal: string) => WireError | undefined = () => undefined;
  /** Appends wait for this. */
  gate: Promise<void> = Promise.resolve();

  async appendFrame(
    journal: string,
    content: readonly Uint8Array[],
  ): Promise<{ begin: number; end: number }> {
    await this.gate;
    const failure = this.fail(journal);
    if (failure !== undefined) throw failure;
    const bytes = concatBytes(content);
    const parts = this.journals.get(journal) ?? [];
    this.journals.set(journal, parts);
    const begin = parts.reduce((sum, part) => sum + part.length, 0);
    parts.push(bytes);
    return { begin, end: begin + bytes.length };
  }

  /** Frames of a journal that count. */
  frames(journal: string): readonly Frame[] {
    const filter = new FrameFilter();
    const decoded = new FrameDecoder(0).push(concatBytes(this.journals.get(journal) ?? []));
    return decoded.filter((frame) => filter.accept(frame));
  }

  /** Rows of a journal, each with its newline. */
  rows(journal: string): string[] {
    return this.frames(journal).flatMap((frame) => {
      let at = 0;
      return Array.from(frame.rowLengths, (length) => text(frame.body.subarray(at, (at += length))));
    });
  }
}

export interface DoorOptions {
  readonly limits?: Partial<DoorLimits>;
  readonly type?: SourceType;
  readonly signature?: WebhookSignature;
  readonly sinks?: readonly Partial<NewSink>[];
  readonly sourceSettings?: SettingValues;
  readonly diskUse?: Partial<DiskUse>;
  readonly oldestLetter?: HttpSourcePorts["oldestLetter"];
  readonly share?: () => number;
  readonly quotaBytes?: number;
  /** Networks as texts. */
  readonly trustedProxies?: readonly string[];
  readonly clock?: Clock;
  readonly lanes?: number;
  readonly logger?: Logger;
  /** Default: plain. */
  readonly secrets?: SecretBox;
  readonly evaluator?: ProgramEvaluator;
  readonly decompress?: typeof decompressBody;
}

export class DoorHarness {
  readonly frames = new MemoryFrames();
  source!: HttpSource;
  mirror!: DefinitionMirror;
  repository!: DefinitionRepository;
  metrics = new MetricsRegistry();
  port = 0;
  path = "";
  secret = "";
  readonly #closers: (() => unknown)[] = [];

  async open(options: DoorOptions = {}): Promise<this> {
    const random = seededRandom("door");
    const store = await openMemoryStore(systemClock, random);
    const ports = {
      store,
      secrets: options.secrets ?? plainSecrets,
      clock: systemClock,
      random,
      logger: options.logger ?? silentLogger,
    };
    const stop = new AbortController();
    this.mirror = new DefinitionMirror(ports);
    this.repository = new DefinitionRepository(ports);
    await this.mirror.load(never);
    const running = this.mirror.run(stop.signal);
    await this.#define(options);
    this.source = new HttpSource(
      {
        ...ports,
        clock: options.clock ?? systemClock,
        mirror: this.mirror,
        frames: this.frames,
        partitions: { ensure: (key, n) => Promise.resolve(`${key.sinkId}/${n}`) },
        deadLetters: { ensure: ({ sinkId }) => Promise.resolve(`${sinkId}/dead-letters`) },
        turns: systemTurns,
        evaluator: options.evaluator ?? localEvaluator(),
        decompress: options.decompress ?? decompressBody,
        diskUse: { sinkBytes: () => 0, allBytes: () => 0, onAppended: () => undefined, ...options.diskUse },
        oldestLetter: options.oldestLetter ?? (() => Promise.resolve(0)),
        share: options.share ?? (() => 1),
        metrics: this.metrics,
        page: ({ path, origin }) => {
          const contentType = "text/plain";
          if (origin !== undefined) return { status: 403, contentType, body: "not you\n" };
          return path === "/metrics" ? { status: 200, contentType, body: "page\n" } : undefined;
        },
        onFatal: (error) => {
          throw error;
        },
      },
      {
        limits: { ...DEFAULT_DOOR_LIMITS, ...options.limits },
        lanes: options.lanes ?? 1,
        quotaBytes: options.quotaBytes ?? 0,
        trustedProxies: (options.trustedProxies ?? []).map(parseNetwork),
      },
    );
    ({ port: this.port } = await this.source.listen({ host: "127.0.0.1", port: 0 }));
    this.#closers.push(
      () => this.source.stop(AbortSignal.abort()),
      () => stop.abort(),
      () => running,
      () => store.close(),
    );
    return this;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0)) await close();
  }

  async #define({ sinks = [{}], type = "http", signature, sourceSettings = {} }: DoorOptions): Promise<void> {
    const by = { type: "system" } as const;
    const created = await this.repository.createSource(
      {
        ...SOURCE,
        type,
        name: "Flights",
        description: "",
        ...(signature === undefined ? {} : { signature }),
      },
      by,
      never,
    );
    assert.ok(created.kind === "created");
    this.secret = created.entity.secret;
    this.path = `/${type === "otlp" ? "otlp" : "stream"}/1/flights/${this.secret}`;
    let { revision } = created;
    if (Object.keys(sourceSettings).length > 0) {
      const changes = Object.entries(sourceSettings).map(([key, value]) => ({ key, value }));
      const changed = await this.repository.changeSource(SOURCE, { kind: "settings", changes }, by, never);
      assert.ok(changed.kind === "changed");
      ({ revision } = changed);
    }
    for (const sink of sinks) {
      const input: NewSink = {
        ...SOURCE,
        sinkId: "flights",
        name: "Flights",
        description: "",
        tableId: "main.flights",
        columns: COLUMNS,
        settings: {},
        ...sink,
      };
      const outcome = await this.repository.createSink(input, by, never);
      assert.ok(outcome.kind === "created");
      revision = outcome.revision;
    }
    await this.mirror.waitForRevision(revision, never);
  }

  /** A raw connection. */
  connect(): RawClient {
    return new RawClient(this.port);
  }

  async post(
    body: string | Uint8Array,
    headers: Record<string, string> = {},
    path = this.path,
  ): Promise<RawAnswer> {
    return this.request("POST", path, body, { "Content-Type": "application/json", ...headers });
  }

  async request(
    method: string,
    path: string,
    body: string | Uint8Array = "",
    headers: Record<string, string> = {},
  ): Promise<RawAnswer> {
    const client = this.connect();
    const bytes = Buffer.from(body);
    const lines = Object.entries({ Host: "in.test", "Content-Length": String(bytes.length), ...headers });
    client.send(`${method} ${path} HTTP/1.1\r\n${lines.map(([n, v]) => `${n}: ${v}\r\n`).join("")}\r\n`);
    client.send(bytes);
    const answer = await client.answer();
    client.close();
    return answer;
  }
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Sends bytes and reads answers, one after the other. */
export class RawClient {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #isEnded = false;
  #wake: () => void = () => undefined;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("data", (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    this.#socket.on("error", () => undefined);
    this.#socket.on("close", () => {
      this.#isEnded = true;
      this.#wake();
    });
    this.#socket.on("end", () => {
      this.#isEnded = true;
      this.#wake();
    });
  }

  send(bytes: string | Uint8Array): void {
    this.#socket.write(bytes);
  }

  end(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Resolves when the server has ended the connection. */
  async ended(): Promise<void> {
    while (!this.#isEnded) await this.#next();
  }

  /** Bytes that were received and not read as an answer. */
  get pending(): string {
    return this.#received.toString("latin1");
  }

  async until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.pending) && !this.#isEnded) await this.#next();
  }

  async answer(): Promise<RawAnswer> {
    for (;;) {
      const headEnd = this.#received.indexOf("\r\n\r\n");
      if (headEnd >= 0) {
        const [line = "", ...lines] = this.#received.subarray(0, headEnd).toString("latin1").split("\r\n");
        const headers = Object.fromEntries(
          lines.map((each) =>
            each
              .toLowerCase()
              .split(": ", 1)
              .concat(each.slice(each.indexOf(": ") + 2)),
          ),
        );
        const end = headEnd + 4 + Number(headers["content-length"] ?? 0);
        if (this.#received.length >= end) {
          const body = this.#received.subarray(headEnd + 4, end).toString("utf8");
          this.#received = this.#received.subarray(end);
          return { status: Number(line.split(" ")[1]), headers, body };
        }
      }
      assert.ok(!this.#isEnded, `the connection has ended, received: ${this.pending}`);
      await this.#next();
    }
  }

  #next(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}
