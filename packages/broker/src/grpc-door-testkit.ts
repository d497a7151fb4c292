// The gRPC door over a broker in process, driven call by call.
import assert from "node:assert/strict";
import { systemClock, TokenBook, type Clock, type WireError } from "@millrace/base";
import type { AuthKeys } from "@millrace/client";
import {
  JOURNAL_SERVICE,
  newAppendRequest,
  type AppendRequest,
  type AppendResponse,
} from "@millrace/protocol";
import { Authoriser, type AppendKind, type Principal } from "./authoriser.ts";
import {
  applySpec,
  journalSpec,
  openTestBroker,
  type TestBroker,
  type TestBrokerOptions,
} from "./broker-testkit.ts";
import type { Broker } from "./broker.ts";
import { FakeCall, type EndedCall } from "./fake-call.ts";
import { grpcDoor } from "./grpc-door.ts";
import type { AppendDoor } from "./local-transport.ts";

const { append } = JOURNAL_SERVICE;

/** The journal that is there. */
export const J = "a/journal";

export interface DoorFixture extends TestBroker {
  begin(path: string, authorization?: string, metadata?: ReadonlyMap<string, string>): FakeCall;
  /** An append from its messages, then the end of the stream. */
  append(preamble: Partial<AppendRequest>, ...contents: readonly Uint8Array[]): FakeCall;
}

export async function withDoor(
  run: (fixture: DoorFixture) => Promise<void>,
  options: TestBrokerOptions & {
    keys?: AuthKeys;
    /** What whoever asks for journals is told; undefined: they are there. */
    starting?: WireError;
    /** Default: none is refused. */
    refuseAppend?: (
      journal: string,
      principal: Principal,
      broker: Broker,
      kind: AppendKind,
    ) => string | undefined;
    /** Default: those of the broker. */
    appends?: AppendDoor;
  } = {},
): Promise<void> {
  const clock: Clock = options.clock ?? systemClock;
  const broker = await openTestBroker({ ...options, clock });
  const handlers = grpcDoor({
    clock,
    authoriser: new Authoriser({ tokens: new TokenBook(""), keys: options.keys }, clock),
    journals: (principal) => {
      if (options.starting !== undefined) throw options.starting;
      const journals = broker.broker.journalsFor(principal);
      return { ...journals, appends: options.appends ?? journals.appends };
    },
    storeHealth: (request, signal) => broker.broker.storeHealth(request, signal),
    refuseAppend: (journal, principal, kind) =>
      options.refuseAppend?.(journal, principal, broker.broker, kind),
  });
  const begin: DoorFixture["begin"] = (path, authorization, metadata) =>
    new FakeCall(handlers, path, authorization, metadata);
  try {
    await applySpec(broker.transport, journalSpec(J));
    await run({
      ...broker,
      begin,
      append: (preamble, ...contents) =>
        begin(append.path)
          .receive(encoded({ journal: J, ...preamble }), ...contents.map((content) => encoded({ content })))
          .halfClose(),
    });
  } finally {
    await broker.close();
  }
}

export function encoded(fields: Partial<AppendRequest>): Uint8Array {
  return append.encodeRequest(newAppendRequest(fields));
}

export async function answerOf(call: FakeCall): Promise<AppendResponse> {
  assert.deepEqual(await call.end(), { code: "OK", message: "" });
  assert.equal(call.sent.length, 1);
  return append.decodeResponse(call.sent[0]!);
}

export function failure(message: string, code = "UNKNOWN"): EndedCall {
  return { code, message };
}
