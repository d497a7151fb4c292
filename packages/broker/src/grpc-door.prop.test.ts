// Whatever a client sends, its call ends, and the journal stays whole.
import assert from "node:assert/strict";
import { test } from "node:test";
import { never, systemClock, TokenBook } from "@millrace/base";
import { encodeAppendRequest, JOURNAL_SERVICE, newAppendRequest } from "@millrace/protocol";
import fc from "fast-check";
import { Authoriser } from "./authoriser.ts";
import { applySpec, journalSpec, openTestBroker, readAll, readRequest } from "./broker-testkit.ts";
import { FakeCall } from "./fake-call.ts";
import { grpcDoor } from "./grpc-door.ts";

const J = "a/journal";
const append = (fields: Parameters<typeof newAppendRequest>[0]): Uint8Array =>
  encodeAppendRequest(newAppendRequest(fields));
const message = fc.oneof(
  fc.constant(append({ journal: J })),
  fc.constant(append({ content: Uint8Array.of(0x78) })),
  fc.constant(new Uint8Array(0)),
  fc.constant(append({ content: new Uint8Array(70_000).fill(0x78) })),
  fc.uint8Array({ maxLength: 40 }),
);

test("grpc door: any messages to any method -> the call ends; only whole appends are in the journal", async () => {
  const broker = await openTestBroker({ clock: systemClock });
  const handlers = grpcDoor({
    clock: systemClock,
    authoriser: new Authoriser({ tokens: new TokenBook(""), keys: undefined }, systemClock),
    journals: (principal) => broker.broker.journalsFor(principal),
    storeHealth: (request, signal) => broker.broker.storeHealth(request, signal),
  });
  try {
    await applySpec(broker.transport, journalSpec(J));
    let committed = 0;
    const paths = Object.values(JOURNAL_SERVICE).map(({ path }) => path);
    const path = fc.oneof(
      { weight: 5, arbitrary: fc.constant(JOURNAL_SERVICE.append.path) },
      fc.constantFrom(...paths),
    );
    await fc.assert(
      fc.asyncProperty(path, fc.array(message, { maxLength: 8 }), async (method, messages) => {
        const call = new FakeCall(handlers, method);
        call.receive(...messages).halfClose();
        const { code } = await call.end();
        if (method !== JOURNAL_SERVICE.append.path || code !== "OK") return;
        const answer = JOURNAL_SERVICE.append.decodeResponse(call.sent[0]!);
        if (answer.status !== "OK") return;
        assert.equal(answer.commit!.begin, committed);
        committed = answer.commit!.end;
      }),
      { numRuns: 300 },
    );
    const bytes = await readAll(broker.transport, readRequest(J), never);
    assert.equal(bytes.length, committed);
  } finally {
    await broker.close();
  }
});
