import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { WireError } from "@millrace/base";
import { WIRE } from "@millrace/protobuf";
import * as arbitrary from "./arbitraries-testkit.ts";
import * as protocol from "./index.ts";

interface Subject {
  readonly name: string;
  /** Runs `check` on values of the message's type, which stays inside. */
  readonly encodings: fc.Arbitrary<{
    readonly bytes: Uint8Array;
    readonly value: unknown;
    readonly again: unknown;
  }>;
  readonly decode: (bytes: Uint8Array) => unknown;
}

function subject<M>(
  name: string,
  values: fc.Arbitrary<M>,
  encode: (value: M) => Uint8Array,
  decode: (bytes: Uint8Array) => M,
): Subject {
  const encodings = values.map((value) => {
    const bytes = encode(value);
    return { bytes, value, again: decode(bytes) };
  });
  return { name, encodings, decode };
}

const { JOURNAL_SERVICE: rpcs, HOLDER_SERVICE: holders } = protocol;
const SUBJECTS: readonly Subject[] = [
  subject("LabelSet", arbitrary.labelSet, protocol.encodeLabelSet, protocol.decodeLabelSet),
  subject("Route", arbitrary.route, protocol.encodeRoute, protocol.decodeRoute),
  subject("BrokerSpec", arbitrary.brokerSpec, protocol.encodeBrokerSpec, protocol.decodeBrokerSpec),
  subject("Fragment", arbitrary.fragment, protocol.encodeFragment, protocol.decodeFragment),
  subject("JournalSpec", arbitrary.journalSpec, protocol.encodeJournalSpec, protocol.decodeJournalSpec),
  subject("ReadRequest", arbitrary.readRequest, rpcs.read.encodeRequest, rpcs.read.decodeRequest),
  subject("ReadResponse", arbitrary.readResponse, rpcs.read.encodeResponse, rpcs.read.decodeResponse),
  subject("AppendRequest", arbitrary.appendRequest, rpcs.append.encodeRequest, rpcs.append.decodeRequest),
  subject("AppendResponse", arbitrary.appendResponse, rpcs.append.encodeResponse, rpcs.append.decodeResponse),
  subject(
    "ReplicateRequest",
    arbitrary.replicateRequest,
    rpcs.replicate.encodeRequest,
    rpcs.replicate.decodeRequest,
  ),
  subject(
    "ReplicateResponse",
    arbitrary.replicateResponse,
    rpcs.replicate.encodeResponse,
    rpcs.replicate.decodeResponse,
  ),
  subject("HoldRequest", arbitrary.holdRequest, holders.hold.encodeRequest, holders.hold.decodeRequest),
  subject("HoldResponse", arbitrary.holdResponse, holders.hold.encodeResponse, holders.hold.decodeResponse),
  subject("FetchRequest", arbitrary.fetchRequest, holders.fetch.encodeRequest, holders.fetch.decodeRequest),
  subject("ListRequest", arbitrary.listRequest, rpcs.list.encodeRequest, rpcs.list.decodeRequest),
  subject("ListResponse", arbitrary.listResponse, rpcs.list.encodeResponse, rpcs.list.decodeResponse),
  subject("ApplyRequest", arbitrary.applyRequest, rpcs.apply.encodeRequest, rpcs.apply.decodeRequest),
  subject("ApplyResponse", arbitrary.applyResponse, rpcs.apply.encodeResponse, rpcs.apply.decodeResponse),
  subject(
    "FragmentsRequest",
    arbitrary.fragmentsRequest,
    rpcs.listFragments.encodeRequest,
    rpcs.listFragments.decodeRequest,
  ),
  subject(
    "FragmentsResponse",
    arbitrary.fragmentsResponse,
    rpcs.listFragments.encodeResponse,
    rpcs.listFragments.decodeResponse,
  ),
  subject(
    "HealthRequest",
    arbitrary.healthRequest,
    rpcs.fragmentStoreHealth.encodeRequest,
    rpcs.fragmentStoreHealth.decodeRequest,
  ),
  subject(
    "HealthResponse",
    arbitrary.healthResponse,
    rpcs.fragmentStoreHealth.encodeResponse,
    rpcs.fragmentStoreHealth.decodeResponse,
  ),
];

// The time limit is for shrinking: these values are large.
const OPTIONS = { numRuns: 60, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: true } as const;

for (const { name, encodings, decode } of SUBJECTS) {
  test(`${name}: encode then decode -> the same value`, () => {
    fc.assert(
      fc.property(encodings, ({ value, again }) => assert.deepEqual(again, value)),
      OPTIONS,
    );
  });

  test(`${name}: cut inside a field -> refused`, () => {
    fc.assert(
      fc.property(encodings, fc.nat(), ({ bytes }, where) => {
        if (bytes.length === 0) return;
        const length = where % bytes.length;
        if (fieldEnds(bytes).has(length)) return; // A shorter message that is whole.
        assert.throws(() => decode(bytes.subarray(0, length)), WireError);
      }),
      OPTIONS,
    );
  });

  test(`${name}: bytes changed at random -> a value or a WireError, never anything else`, () => {
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(encodings, flips, ({ bytes }, changes) => {
        const mutated = Uint8Array.from(bytes);
        for (const [where, byte] of changes) if (mutated.length > 0) mutated[where % mutated.length] = byte;
        onlyWireErrors(() => decode(mutated));
      }),
      OPTIONS,
    );
  });
}

test("decode: random bytes -> a value or a WireError, never anything else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      for (const { decode } of SUBJECTS) onlyWireErrors(() => decode(bytes));
    }),
    { numRuns: 500 },
  );
});

/** Indices at which a top-level field ends: cut there, and what is left is a message. */
function fieldEnds(bytes: Uint8Array): ReadonlySet<number> {
  const ends = new Set([0]);
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const wireType = varint() & 7;
    const value = wireType === WIRE.VARINT || wireType === WIRE.BYTES ? varint() : 0;
    if (wireType === WIRE.BYTES) at += value;
    else if (wireType === WIRE.FIXED64) at += 8;
    else if (wireType === WIRE.FIXED32) at += 4;
    ends.add(at);
  }
  return ends;
}

function onlyWireErrors(action: () => unknown): void {
  try {
    action();
  } catch (thrown) {
    if (!(thrown instanceof WireError)) throw thrown;
  }
}
