// A target behind its door obeys what targets do, and what becomes of calls whose answer does not come.
import assert from "node:assert/strict";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { never, silentLogger, systemClock, WireError } from "@millrace/base";
import { seededRandom } from "@millrace/base/testkit";
import type { LoadOutcome, LoadRequest, Target } from "@millrace/ingest";
import { ModelTarget } from "@millrace/ingest/testkit";
import { memoryStore } from "@millrace/stores/testkit";
import { RemoteTarget } from "./remote-target.ts";
import { targetConformance, type TargetSubject } from "./target-conformance.ts";
import { answerTargetCall } from "./target-door.ts";

interface Door {
  readonly url: string;
  close(): Promise<void>;
}

function listening(listener: RequestListener): Promise<Door> {
  const server: Server = createServer(listener);
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      resolve({
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            server.closeAllConnections();
          }),
      });
    });
  });
}

function doorOf(target: Target): Promise<Door> {
  return listening((request, response) => {
    answerTargetCall({ target, clock: systemClock, logger: silentLogger }, request, response).catch(
      (thrown: unknown) => {
        const { status, message } = WireError.from(thrown);
        response.writeHead(status).end(message);
      },
    );
  });
}

function remote(address: () => string | undefined, clock = systemClock): RemoteTarget {
  return new RemoteTarget({ address, authorization: () => undefined, name: "the warehouse", clock });
}

/** Its time is past as soon as somebody waits. */
function impatient(): typeof systemClock {
  let ms = 0;
  return { ...systemClock, monotonicMs: () => ms, sleep: async () => void (ms += 100_000) };
}

async function subject(): Promise<TargetSubject> {
  const random = seededRandom("conformance");
  const staging = memoryStore({ clock: systemClock, random });
  const model = new ModelTarget({ stagingStore: staging, clock: systemClock, random });
  const target: Target = {
    check: () => model.check(),
    prepare: (tableId, columns) => model.prepare(tableId, columns),
    drop: (tableId, journals) => model.drop(tableId, journals),
    loadedEnds: (tableId) => model.loadedEnds(tableId, never),
    async load(request: LoadRequest, signal: AbortSignal): Promise<LoadOutcome> {
      try {
        return await model.load(request, signal);
      } finally {
        model.faults = {};
      }
    },
  };
  const door = await doorOf(target);
  return {
    target: remote(() => door.url),
    staging,
    rows: (tableId) => Promise.resolve(model.tables.get(tableId)?.rows ?? []),
    again: () => Promise.resolve(remote(() => door.url)),
    failNext: (when) => {
      model.faults = { [when]: 1000 };
    },
    close: () => door.close(),
  };
}

targetConformance(
  "model in another process",
  { commits: "together", checksTables: false, takesNul: true },
  subject,
);

const NOTHING: LoadRequest = { target: { kind: "duckdb", tableId: "main.t" }, columns: [], partitions: [] };

test("remote target: nobody there -> UNAVAILABLE, and a load waits a while for somebody", async () => {
  const nobody = { code: "UNAVAILABLE", message: /the warehouse is not there/ };
  await assert.rejects(remote(() => undefined).check("main.t", [], never), nobody);
  await assert.rejects(remote(() => undefined, impatient()).load(NOTHING, never), nobody);
  const door = await listening((_request, response) => void response.end('{"kind":"already"}'));
  let asked = 0;
  const later = remote(() => (asked++ < 2 ? undefined : door.url));
  assert.deepEqual(await later.load(NOTHING, never), { kind: "already" });
  await door.close();
  await assert.rejects(remote(() => door.url, impatient()).loadedEnds("main.t", never), {
    code: "UNAVAILABLE",
  });
});

test("remote target: a connection that ends without an answer -> OUTCOME_UNKNOWN", async () => {
  const door = await listening((request, response) => {
    request.resume().on("end", () => {
      response.write(" ");
      response.socket?.destroy();
    });
  });
  await assert.rejects(remote(() => door.url).load(NOTHING, never), { code: "OUTCOME_UNKNOWN" });
  await door.close();
});

test("target door: what the target says comes through; wrong calls are refused with what is wrong", async () => {
  const model: Target = {
    check: () => Promise.resolve('the name "x" is no table'),
    prepare: () => Promise.reject(new WireError("INVALID_ARGUMENT", "no such column")),
    drop: (_tableId, journals) => Promise.reject(new WireError("UNAVAILABLE", `not ${journals.join(" ")}`)),
    loadedEnds: () => Promise.resolve(new Map([["a/b", 7]])),
    load: () => Promise.reject(new WireError("CORRUPT", "staged object s is not what was staged")),
  };
  const door = await doorOf(model);
  const target = remote(() => door.url);
  assert.equal(await target.check("x", [], never), 'the name "x" is no table');
  await assert.rejects(target.prepare("x", [], never), {
    code: "INVALID_ARGUMENT",
    message: "no such column",
  });
  assert.deepEqual(await target.loadedEnds("x", never), new Map([["a/b", 7]]));
  await assert.rejects(target.load(NOTHING, never), { code: "CORRUPT" });
  const load = (object: object): object => ({
    target: { kind: "duckdb", tableId: "main.t" },
    columns: [],
    versions: [[{ type: "body", name: "b" }]],
    partitions: [{ journal: "j", begin: 0, end: 9, startsTarget: true, objects: [object] }],
  });
  const staged = { path: "a/b", columns: 0, sinkVersion: 1, rows: 1, bytes: 1, crc32c: 1 };
  for (const [name, body, status, text] of [
    ["nothing", {}, 404, /no such call/],
    ["load", { ...load(staged), target: { kind: "?", tableId: "t" } }, 400, /field kind/],
    ["load", load({ ...staged, path: "../../etc/passwd" }), 400, /not that of a staged object/],
    ["load", load({ ...staged, columns: 1 }), 400, /columns 1 out of range \(0 <= columns < 1\)/],
    ["load", load({ ...staged, rows: -1 }), 400, /rows/],
    ["check", [], 400, /expected an object/],
  ] as const) {
    const answer = await fetch(`${door.url}/target/${name}`, { method: "POST", body: JSON.stringify(body) });
    assert.equal(answer.status, status);
    assert.match(await answer.text(), text);
  }
  assert.equal((await fetch(`${door.url}/target/check`)).status, 405);
  await door.close();
});
