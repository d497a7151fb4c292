import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { never, utf8, WireError } from "@millrace/base";
import { Agenda, settle, SimulatedClock } from "@millrace/base/testkit";
import { newReplicateRequest, newReplicateResponse, type ReplicateRequest } from "@millrace/protocol";
import { preamble, readRequest } from "./broker-testkit.ts";
import { TestNetwork, type ServedBroker } from "./network-testkit.ts";
import { wasUnseen, type PeerNetwork } from "./peer-network.ts";

const J = "a/journal";
const ONE = { zone: "a", suffix: "one-x" };
const TWO = { zone: "b", suffix: "two-x" };
const PEER = { id: TWO, endpoint: "http://two" };
const CONTENT = { kind: "bytes", bytes: [utf8("hello")] } as const;

interface Pair {
  readonly agenda: Agenda;
  readonly network: TestNetwork;
  readonly one: PeerNetwork;
  /** What the second broker has heard. */
  readonly heard: string[];
}

/** Two brokers, the second of which is a puppet: it answers appends and Replicate, and reads go on until aborted. */
function pair(): Pair {
  const agenda = new Agenda();
  const network = new TestNetwork(new SimulatedClock(agenda));
  const heard: string[] = [];
  const refused = (): never => {
    throw new WireError("NOT_FOUND", "not held");
  };
  const served: ServedBroker = {
    transport: {
      append: async ({ journal }) => {
        heard.push(`append ${journal}`);
        throw new WireError("CONFLICT", "so there");
      },
      listFragments: async () => refused(),
      read: async function* (request, signal) {
        heard.push("read");
        yield { status: "OK", offset: request.offset, writeHead: 0, fragmentUrl: "" };
        await new Promise((_, reject) => signal.addEventListener("abort", reject));
      },
    },
    peers: {
      hold: async () => refused(),
      fetch: refused,
      digest: async () => refused(),
      replicate: (listener) => ({
        send: (request: ReplicateRequest) => {
          heard.push(request.deprecatedJournal);
          listener.answered(newReplicateResponse({ status: "OK" }));
          return true;
        },
        halfClose: () => listener.ended(undefined),
        cancel: () => heard.push("cancel"),
      }),
    },
  };
  network.serve(TWO, served);
  return { agenda, network, one: network.of(ONE), heard };
}

const outcomeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => "done",
    (error: unknown) => error,
  );

describe("calls", () => {
  test("answers and refusals of the peer come back as they are", async () => {
    const { one, heard } = pair();
    const error = await outcomeOf(one.proxied(PEER).append(preamble(J), CONTENT, never));
    assert.ok(error instanceof WireError && error.code === "CONFLICT" && !wasUnseen(error));
    assert.deepEqual(heard, [`append ${J}`]);
  });

  test("a broker that is gone -> unseen, told at each change; broken in the middle -> perhaps seen", async () => {
    const { one, network, heard } = pair();
    const told: string[] = [];
    one.onRefused(({ id }, isRefused) => told.push(`${id.suffix} ${isRefused}`));
    network.wire(TWO, ONE).cut();
    const broken = outcomeOf(one.proxied(PEER).append(preamble(J), CONTENT, never));
    await settle();
    network.refuse(TWO);
    assert.ok(!wasUnseen(await broken));
    assert.deepEqual([heard, told], [[`append ${J}`], ["two-x true"]]);
    assert.ok(wasUnseen(await outcomeOf(one.proxied(PEER).append(preamble(J), CONTENT, never))));
    assert.deepEqual([heard.length, told.length], [1, 1]);
  });

  test("cut -> waits for the wire to heal, in order; slow -> takes its time", async () => {
    const { agenda, one, network, heard } = pair();
    network.cut(ONE, TWO);
    const calls = ["a/one", "a/two"].map((name) =>
      outcomeOf(one.proxied(PEER).append(preamble(name), CONTENT, never)),
    );
    await settle();
    assert.deepEqual(heard, []);
    network.wire(TWO, ONE).delayMs = 50;
    network.heal(ONE, TWO);
    let isOver = false;
    const over = Promise.all(calls).then(() => (isOver = true));
    await agenda.advance(49);
    assert.deepEqual([heard, isOver], [["append a/one", "append a/two"], false]);
    await agenda.advance(1);
    await over;
  });

  test("caller aborts a read over a cut wire -> it ends at once", async () => {
    const { one, network } = pair();
    const abort = new AbortController();
    const messages = one.proxied(PEER).read(readRequest(J), abort.signal)[Symbol.asyncIterator]();
    await messages.next();
    network.cut(ONE, TWO);
    const next = outcomeOf(messages.next());
    abort.abort(new Error("enough"));
    assert.equal(((await next) as Error).message, "enough");
  });
});

describe("Replicate", () => {
  test("messages and answers in order; what was sent may change; cut and break as they are", async () => {
    const { one, network, heard } = pair();
    const got: string[] = [];
    const open = () =>
      one.replicate(PEER, J, {
        answered: ({ status }) => got.push(status),
        drained: () => undefined,
        ended: (failure) => got.push(failure?.message ?? "end"),
      });
    const stream = open();
    for (const name of ["a", "b"]) stream.send(newReplicateRequest({ deprecatedJournal: name }));
    stream.halfClose();
    await settle();
    assert.deepEqual(
      [heard, got],
      [
        ["a", "b"],
        ["OK", "OK", "end"],
      ],
    );

    open();
    await settle();
    network.break(ONE, TWO);
    await settle();
    assert.deepEqual([heard.at(-1), got.at(-1)], ["cancel", "connection reset"]);

    network.refuse(TWO);
    open();
    await settle();
    assert.match(got.at(-1)!, /connection refused/);
  });
});
