import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { concatBytes, never, unhex, utf8, WireError } from "@millrace/base";
import { Agenda, SimulatedClock } from "@millrace/base/testkit";
import { AuthKeys, FRAMES_METADATA } from "@millrace/client";
import {
  ANY_LABELS,
  CAPABILITY,
  JOURNAL_SERVICE,
  labelSet,
  newFragment,
  parseLabelSelector,
  type AppendRequest,
  type ReadResponse,
} from "@millrace/protocol";
import { applySpec, journalSpec, readRequest } from "./broker-testkit.ts";
import type { FakeCall, EndedCall } from "./fake-call.ts";
import { answerOf, encoded, failure, J, withDoor } from "./grpc-door-testkit.ts";

const { append, apply, list, read, replicate } = JOURNAL_SERVICE;
const KEYS = AuthKeys.parse("c2VjcmV0");
const INTENT = new Uint8Array(0);

// Appends.

test("grpc append: chunks, intent, end -> the commit of the client's bytes, without a signal", async () => {
  await withDoor(async (door) => {
    // The first one waits until somebody serves the journal.
    await answerOf(door.append({}, INTENT));
    const call = door.append({}, utf8("hel"), utf8("lo"), INTENT);
    const { status, commit, registers, totalChunks, header } = await answerOf(call);
    assert.equal(status, "OK");
    const sum = createHash("sha1").update("hello").digest("hex");
    assert.deepEqual(commit, newFragment({ journal: J, end: 5, sum, compressionCodec: "NONE" }));
    assert.deepEqual([registers, totalChunks], [labelSet(), 3]);
    assert.deepEqual([header.route.primary, header.processId], [0, { zone: "local", suffix: "broker" }]);
    assert.equal(call.hasSignal, false);
  });
});

for (const [what, preamble, contents, end] of [
  ["no intent", {}, [utf8("x")], failure("append stream: unexpected EOF")],
  ["nothing behind its preamble", {}, [], failure("append stream: unexpected EOF")],
  [
    "a name that is none",
    { journal: "/invalid/name" },
    [],
    failure("Journal: cannot begin with '/' (/invalid/name)"),
  ],
  ["an offset that is none", { offset: -1 }, [], failure("invalid Offset (-1; expected >= 0)")],
  [
    "more after the intent",
    {},
    [INTENT, INTENT],
    failure("append stream: expected EOF after empty Content chunk"),
  ],
  [
    "registers and no bytes",
    { unionRegisters: labelSet(["aa", "1"]) },
    [INTENT],
    failure("append stream: register modification requires non-empty Append"),
  ],
] as [string, Partial<AppendRequest>, Uint8Array[], EndedCall][]) {
  test(`grpc append: stream with ${what} -> fails with the text, nothing written`, async () => {
    await withDoor(async (door) => {
      assert.deepEqual(await door.append(preamble, ...contents).end(), end);
      const { commit } = await answerOf(door.append({}, utf8("x"), INTENT));
      assert.equal(commit!.begin, 0);
    });
  });
}

for (const [what, message, expected] of [
  ["a second preamble", encoded({ journal: J }), "append stream: expected Content chunk"],
  [
    "a second preamble that is not valid",
    encoded({ journal: J, offset: -1 }),
    "append stream: invalid Offset (-1; expected >= 0)",
  ],
  ["a chunk with an offset", encoded({ offset: 7, content: utf8("x") }), "append stream: unexpected Offset"],
  ["bytes that are no message", Uint8Array.of(0x12, 0x7f), /^append stream: /],
] as const) {
  test(`grpc append: ${what} in the stream -> fails with the text`, async () => {
    await withDoor(async (door) => {
      const call = door
        .begin(append.path)
        .receive(encoded({ journal: J }), message)
        .halfClose();
      const { code, message: said } = await call.end();
      assert.equal(code, "UNKNOWN");
      if (typeof expected === "string") assert.equal(said, expected);
      else assert.match(said, expected);
    });
  });
}

test("grpc append: the stream ends before its first message, or begins with a chunk -> EOF; not found", async () => {
  await withDoor(async (door) => {
    assert.deepEqual(await door.begin(append.path).halfClose().end(), failure("EOF"));
    const chunk = door.begin(append.path).receive(encoded({ content: utf8("x") }));
    assert.equal((await answerOf(chunk)).status, "JOURNAL_NOT_FOUND");
  });
});

test("grpc append: refused before its content comes -> answered without waiting for it", async () => {
  await withDoor(async (door) => {
    const call = door.begin(append.path).receive(encoded({ journal: "no/such/journal" }));
    const { status, header } = await answerOf(call);
    assert.equal(status, "JOURNAL_NOT_FOUND");
    assert.deepEqual(header.route, { members: [], primary: -1, endpoints: [] });
  });
});

test("grpc append: more than is collected -> the sender is stopped and goes on, all in order", async () => {
  await withDoor(async (door) => {
    const pieces = Array.from({ length: 40 }, (_, i) => new Uint8Array(32_768).fill(i));
    const call = door.begin(append.path).receive(encoded({ journal: J }));
    let stops = 0;
    for (const content of pieces) {
      call.receive(encoded({ content }));
      if (call.isPaused) stops++;
      while (call.isPaused && !call.isOver) await new Promise((done) => setImmediate(done));
    }
    call.receive(INTENT).halfClose();
    const { commit, totalChunks } = await answerOf(call);
    const sum = createHash("sha1").update(concatBytes(pieces)).digest("hex");
    assert.deepEqual([commit!.end, commit!.sum, totalChunks], [40 * 32_768, sum, 41]);
    assert.ok(stops > 0, "it was stopped at least once");
  });
});

test("grpc append: cancelled before its end -> nothing written, and the journal is free", async () => {
  await withDoor(async (door) => {
    const call = door.begin(append.path).receive(encoded({ journal: J }));
    call.receive(encoded({ content: new Uint8Array(300_000) }));
    call.cancel();
    assert.equal((await answerOf(door.append({}, utf8("x"), INTENT))).commit!.begin, 0);
  });
});

test("grpc append: its token ends while it waits for content -> DEADLINE_EXCEEDED, nothing written", async () => {
  const agenda = new Agenda();
  const clock = new SimulatedClock(agenda);
  await withDoor(
    async (door) => {
      const grant = { capabilities: CAPABILITY.APPEND, selector: ANY_LABELS };
      const begin = (): FakeCall => door.begin(append.path, KEYS.sign(grant, 10_000, clock.wallMs()));
      const call = begin().receive(encoded({ journal: J }), encoded({ content: utf8("never") }));
      await agenda.advance(9_000);
      assert.equal(call.isOver, false);
      await agenda.advance(3_000);
      assert.deepEqual(
        await call.end(),
        failure("append stream: context deadline exceeded", "DEADLINE_EXCEEDED"),
      );
      const next = begin()
        .receive(encoded({ journal: J }), encoded({ content: utf8("x") }), INTENT)
        .halfClose();
      await agenda.advance(1);
      assert.equal((await answerOf(next)).commit!.begin, 0);
    },
    { clock, keys: KEYS },
  );
});

test("grpc append: journal that only its owner writes -> PERMISSION_DENIED with the reason", async () => {
  await withDoor(
    async (door) => {
      const call = door.append({ journal: `${J};meta` }, utf8("x"), INTENT);
      assert.deepEqual(await call.end(), failure(`no: ${J}`, "PERMISSION_DENIED"));
    },
    { refuseAppend: (journal) => `no: ${journal}` },
  );
});

test("grpc append: journal of frames -> taken with the metadata, when its content begins as frames do", async () => {
  const metadata = new Map([[FRAMES_METADATA, "1"]]);
  await withDoor(
    async (door) => {
      const framed = (...contents: readonly Uint8Array[]): FakeCall => {
        const call = door.begin(append.path, undefined, metadata).receive(encoded({ journal: J }));
        return call.receive(...contents.map((content) => encoded({ content }))).halfClose();
      };
      const taken = await answerOf(framed(utf8("MF1 a frame\n"), utf8("its rows\n"), INTENT));
      assert.equal(taken.status, "OK");
      const { code, message } = await framed(utf8("a line\n"), INTENT).end();
      assert.deepEqual([code, message.includes(`no: ${J}`)], ["UNKNOWN", true], message);
      assert.notEqual((await framed(utf8("M"), utf8("F1 in pieces\n"), INTENT).end()).code, "OK");
      assert.equal((await answerOf(framed(INTENT))).status, "OK"); // nothing but a look at the head
      const after = await answerOf(framed(utf8("MF1 another\n"), INTENT));
      assert.equal(after.commit!.begin, taken.commit!.end);
    },
    { refuseAppend: (journal) => `no: ${journal}` },
  );
});

test("grpc append: nothing, to a journal of frames, suspension kept -> as resets are allowed; no byte", async () => {
  const KEEP = { suspend: "SUSPEND_KEEP" } as const;
  let isAllowed = false;
  await withDoor(
    async (door) => {
      assert.deepEqual(await door.append(KEEP, INTENT).end(), failure("no reset", "PERMISSION_DENIED"));
      isAllowed = true;
      assert.equal((await answerOf(door.append(KEEP, INTENT))).commit!.end, 0);
      const { code, message } = await door.append(KEEP, utf8("MF1 a frame\n"), INTENT).end();
      assert.deepEqual([code, message.includes("no content")], ["UNKNOWN", true], message);
      assert.deepEqual(await door.append({}, INTENT).end(), failure("no content", "PERMISSION_DENIED"));
    },
    {
      refuseAppend: (_journal, _principal, _broker, kind) =>
        kind === "reset" && isAllowed ? undefined : `no ${kind}`,
    },
  );
});

// Reads.

async function answers(call: FakeCall): Promise<ReadResponse[]> {
  assert.deepEqual(await call.end(), { code: "OK", message: "" });
  return call.sent.map((bytes) => read.decodeResponse(bytes));
}

test("grpc read: metadata, chunks of at most 32736 bytes, metadata -> header in the first only", async () => {
  await withDoor(async (door) => {
    const content = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251);
    await answerOf(door.append({}, content, INTENT));
    const request = read.encodeRequest(readRequest(J, { offset: 10 }));
    const got = await answers(door.begin(read.path).receive(request).halfClose());
    assert.deepEqual(
      got.map(({ status, offset, content: piece }) => [status, offset, piece?.length]),
      [
        ["OK", 10, undefined],
        ["OK", 10, 32_736],
        ["OK", 32_746, 32_736],
        ["OK", 65_482, 32_736],
        ["OK", 98_218, 1_782],
        ["OFFSET_NOT_YET_AVAILABLE", 100_000, undefined],
      ],
    );
    assert.deepEqual(
      got.map(({ header }) => header !== undefined),
      [true, false, false, false, false, false],
    );
    const bytes = concatBytes(got.flatMap(({ content: piece }) => (piece === undefined ? [] : [piece])));
    assert.deepEqual(Buffer.from(bytes), Buffer.from(content.subarray(10)));
  });
});

test("grpc read: the peer has no room -> nothing is sent until it has", async () => {
  await withDoor(async (door) => {
    await answerOf(door.append({}, new Uint8Array(200_000), INTENT));
    const call = door.begin(read.path);
    call.room = 2;
    call.receive(read.encodeRequest(readRequest(J))).halfClose();
    for (let i = 0; i < 20; i++) await new Promise((done) => setImmediate(done));
    assert.equal(call.sent.length, 2);
    call.drain(Number.POSITIVE_INFINITY);
    assert.equal((await answers(call)).length, 1 + 7 + 1);
  });
});

test("grpc read: cancelled while it waits for more -> ends", async () => {
  await withDoor(async (door) => {
    const request = read.encodeRequest(readRequest(J, { block: true }));
    const call = door.begin(read.path).receive(request).halfClose();
    await new Promise((done) => setImmediate(done));
    call.cancel();
    assert.deepEqual(call.sent, []);
  });
});

// Listings and the others.

test("grpc list: 60 journals -> 25, 25, 10, header in the first; watched -> an empty message ends each", async () => {
  await withDoor(async (door) => {
    const upsert = (i: number) => journalSpec(`b/${String(i).padStart(3, "0")}`);
    const changes = Array.from({ length: 60 }, (_, i) => ({
      expectModRevision: 0,
      upsert: upsert(i),
      delete: "",
    }));
    await door.transport.apply({ changes }, never);
    const selector = parseLabelSelector("prefix=b/");
    const messages = (call: FakeCall) => call.sent.map((bytes) => list.decodeResponse(bytes));
    const once = door
      .begin(list.path)
      .receive(list.encodeRequest({ selector, watch: false }))
      .halfClose();
    await once.end();
    assert.deepEqual(
      messages(once).map(({ journals, header }) => [journals.length, header.etcd.revision > 0]),
      [
        [25, true],
        [25, false],
        [10, false],
      ],
    );
    const watch = door
      .begin(list.path)
      .receive(list.encodeRequest({ selector, watch: true }))
      .halfClose();
    while (watch.sent.length < 4) await new Promise((done) => setImmediate(done));
    await applySpec(door.transport, journalSpec("b/000", { replication: 2 }));
    while (watch.sent.length < 8) await new Promise((done) => setImmediate(done));
    assert.deepEqual(
      messages(watch).map(({ journals }) => journals.length),
      [25, 25, 10, 0, 25, 25, 10, 0],
    );
    // What Go writes for a message without anything in it: three empty parts of an empty header.
    assert.deepEqual(Buffer.from(watch.sent[3]!).toString("hex"), "12060a0012001a00");
    watch.cancel();
  });
});

test("grpc: replication -> UNIMPLEMENTED", async () => {
  await withDoor(async (door) => {
    const end = failure("this broker does not replicate journals", "UNIMPLEMENTED");
    assert.deepEqual(await door.begin(replicate.path).end(), end);
  });
});

test("grpc: the broker still starts -> every method is UNAVAILABLE with the reason", async () => {
  const starting = new WireError("UNAVAILABLE", "the broker waits for etcd");
  await withDoor(
    async (door) => {
      const selector = { selector: ANY_LABELS, watch: false };
      const calls = [
        door.begin(list.path).receive(list.encodeRequest(selector)).halfClose(),
        door
          .begin(read.path)
          .receive(read.encodeRequest(readRequest(J)))
          .halfClose(),
        door
          .begin(apply.path)
          .receive(apply.encodeRequest({ changes: [] }))
          .halfClose(),
        door.append({}, utf8("x"), INTENT),
      ];
      for (const call of calls)
        assert.deepEqual(await call.end(), { code: "UNAVAILABLE", message: "the broker waits for etcd" });
    },
    { starting },
  );
});

test("grpc: values that no enumeration has -> refused as Go's validation does, with where they are", async () => {
  await withDoor(async (door) => {
    for (const [path, digits, text] of [
      [apply.path, "0a06120422021009", "Changes[0].Upsert.Fragment.CompressionCodec: invalid value (9)"],
      [apply.path, "0a06120442020805", "Changes[0].Upsert.Suspend.Level: invalid Level variant (5)"],
      [append.path, "4809", "Suspend: invalid Suspend variant (9)"],
    ] as const)
      assert.deepEqual(await door.begin(path).receive(unhex(digits)!).halfClose().end(), failure(text));
  });
});

test("grpc: bytes that are no message, none, or two where one is due -> INTERNAL", async () => {
  await withDoor(async (door) => {
    const one = read.encodeRequest(readRequest(J));
    for (const [call, message] of [
      [
        door.begin(read.path).receive(Uint8Array.of(0xff)),
        /^grpc: failed to unmarshal the received message: /,
      ],
      [
        door.begin(append.path).receive(Uint8Array.of(0xff)),
        /^grpc: failed to unmarshal the received message: truncated varint$/,
      ],
      [door.begin(read.path).halfClose(), /none came$/],
      [door.begin(read.path).receive(one, one), /another came$/],
    ] as const) {
      assert.equal(call.ended?.code, "INTERNAL");
      assert.match(call.ended.message, message);
    }
    const invalid = read.encodeRequest(readRequest(J, { offset: -2 }));
    const end = await door.begin(read.path).receive(invalid).halfClose().end();
    assert.deepEqual(end, failure("invalid Offset (-2; expected -1 <= Offset <= MaxInt64)"));
  });
});
